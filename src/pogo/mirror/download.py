"""Fetching a file from a registry, checked, at constant memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx2

from pogo.mirror import CannotMake


async def download(client: httpx2.AsyncClient, url: str, to: Path, *, sha256: str = "", sha512: str = "") -> None:
    """Stream `url` into `to`. Digests in hex; "" is not checked. Raises CannotMake."""
    sums = [(hashlib.new(name), wanted) for name, wanted in (("sha256", sha256), ("sha512", sha512)) if wanted]
    try:
        async with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
            if answer.status_code != 200:
                raise CannotMake(f"{url} answered with status {answer.status_code}.")
            with to.open("wb") as file:
                async for chunk in answer.aiter_raw():
                    file.write(chunk)
                    for digest, _ in sums:
                        digest.update(chunk)
    except httpx2.HTTPError as error:
        to.unlink(missing_ok=True)
        raise CannotMake(f"{url} cannot be had: {error or type(error).__name__}.") from error
    for digest, wanted in sums:
        if digest.hexdigest() != wanted.lower():
            to.unlink()
            raise CannotMake(f"{url} has the {digest.name} {digest.hexdigest()}, not {wanted}: it is refused.")
