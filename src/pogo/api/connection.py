"""A TCP connection to a port of a dyno, in the shape of a process's streams."""

from __future__ import annotations

import asyncio

from pogo.containers import Execution
from pogo.errors import NotFound
from pogo.services.inside import Inside

CONNECT_SECONDS = 5
CHUNK = 64 << 10


async def connect(place: Inside, port: int) -> Execution:
    """Raises NotFound where nothing answers."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(place.address, port)
    except (OSError, TimeoutError):
        why = f"Nothing listens on port {port} of {place.dyno}, or only on its loopback address: listen on 0.0.0.0."
        raise NotFound("port", why) from None
    return _Connection(reader, writer)


class _Connection:
    """Its exit status is 0 always."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def resize(self, rows: int, columns: int) -> None:
        return

    async def wait(self) -> int | None:
        return 0

    async def close(self) -> None:
        self._writer.close()
