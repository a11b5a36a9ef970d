"""Where the source of a build comes from: an upload to this platform, or any server of the web."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx2

from pogo import outbound
from pogo.api import signed_urls
from pogo.api.streaming import CHUNK
from pogo.errors import InvalidParams, NotFound
from pogo.services.platform import Platform

TIMEOUT = 30.0  # seconds without a byte
TOTAL = 600.0
REDIRECTS = 5


async def open_source(platform: Platform, url: str, *, private: bool) -> AsyncIterator[bytes]:
    """The bytes behind a URL. private: whether it may be on this machine or its network (the operator's may).

    Raises InvalidParams for what cannot be fetched, at once or while reading.
    """
    name = _own_upload(platform, url)
    if name is not None:
        return await _stored(platform, f"uploads/{name}")
    if not url.lower().startswith(("http://", "https://")):
        raise InvalidParams("Invalid request: `source_blob.url` must be an http or https URL")
    return _fetched(url, private=private)


def _own_upload(platform: Platform, url: str) -> str | None:
    """The name of an upload whose `get_url` this is: read from the store, not by a call to ourselves."""
    base = f"{signed_urls.api_url(platform.settings)}/uploads/"
    if not url.startswith(base):
        return None
    parts = urlsplit(url)
    name = parts.path.removeprefix("/uploads/")
    signed_urls.check(platform.settings, parse_qs(parts.query).get("token", [""])[0], "get", "uploads", name)
    signed_urls.check_expiry(name)
    return name


async def _stored(platform: Platform, key: str) -> AsyncIterator[bytes]:
    try:
        file = await platform.ask_store(platform.store.open, key)
    except NotFound:
        raise InvalidParams("Nothing was uploaded to that source yet. PUT the archive to its put_url first.") from None

    async def chunks() -> AsyncIterator[bytes]:
        with file:
            while chunk := await platform.ask_store(file.read, CHUNK):
                yield chunk

    return chunks()


async def _fetched(url: str, *, private: bool) -> AsyncIterator[bytes]:
    try:
        async with asyncio.timeout(TOTAL), outbound.client(TIMEOUT, private=private) as client:
            for _ in range(REDIRECTS + 1):
                async with client.stream("GET", url) as response:
                    if response.is_redirect:
                        url = str(response.url.join(response.headers["location"]))
                        continue
                    if response.status_code != 200:
                        raise InvalidParams(f"The source cannot be fetched: its server says {response.status_code}.")
                    async for chunk in response.aiter_raw():
                        yield chunk
                    return
        raise InvalidParams(f"The source cannot be fetched: more than {REDIRECTS} redirects.")
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as failure:
        why = str(failure).rstrip(".") or type(failure).__name__
        raise InvalidParams(f"The source cannot be fetched: {why}.") from failure
