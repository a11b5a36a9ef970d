"""Bytes in motion, without a thread for each of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import BinaryIO, TypeVar

from pogo.disk import full_disk_is_an_error
from pogo.errors import InvalidParams

T = TypeVar("T")

CHUNK = 1 << 20


async def with_heartbeat(items: AsyncIterator[T], seconds: float, until: asyncio.Event) -> AsyncIterator[T | None]:
    """The items until the event, and None whenever none came for so long. Closes `items` at the end."""
    upcoming: asyncio.Task[T] | None = None
    ending = asyncio.ensure_future(until.wait())
    try:
        while True:
            if upcoming is None:
                upcoming = asyncio.ensure_future(anext(items))
            done, _ = await asyncio.wait({upcoming, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ending in done:
                return
            if not done:
                yield None
                continue
            task, upcoming = upcoming, None
            try:
                item = task.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        ending.cancel()
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.wait({upcoming})
        close = getattr(items, "aclose", None)
        if close:
            await close()


async def spool(chunks: AsyncIterator[bytes], file: BinaryIO, largest: int) -> str:
    """Write to a file what comes from the network, at constant memory. Returns its SHA-256 in hex.

    Raises InvalidParams when there are more than `largest` bytes, StorageFull.
    """
    digest, size, buffer = hashlib.sha256(), 0, bytearray()

    def flush() -> None:
        digest.update(buffer)
        with full_disk_is_an_error():
            file.write(buffer)
            file.flush()
        buffer.clear()

    async for chunk in chunks:
        size += len(chunk)
        if size > largest:
            raise InvalidParams(f"The source is larger than {largest >> 20} MB, the largest that this platform takes.")
        buffer += chunk
        if len(buffer) >= CHUNK:
            await asyncio.to_thread(flush)
    await asyncio.to_thread(flush)
    file.seek(0)
    return digest.hexdigest()


def file_chunks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file, which is then closed."""
    with file:
        while chunk := file.read(CHUNK):
            yield chunk
