"""The driver's `Attachment`: to a container that runs, by its monitor, or to what is left of one that has ended."""

from __future__ import annotations

import asyncio
import struct

CHUNK = 64 << 10


async def read_chunk(reader: asyncio.StreamReader) -> bytes:
    """Empty at the end, also where it broke off."""
    try:
        return await reader.read(CHUNK)
    except ConnectionError:
        return b""


class Live:
    """Attached: raw output from the monitor, frames (kind, length, data) to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self._before = before

    async def read(self) -> bytes:
        before, self._before = self._before, b""
        return before or await read_chunk(self._reader)

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK):
            await self._send(b"d", data[start : start + CHUNK])

    async def write_eof(self) -> None:
        await self._send(b"e", b"")

    async def resize(self, rows: int, columns: int) -> None:
        await self._send(b"r", struct.pack("=HH", rows, columns))

    async def close(self) -> None:
        self._writer.close()

    async def _send(self, kind: bytes, data: bytes) -> None:
        try:
            self._writer.write(struct.pack("=cI", kind, len(data)) + data)
            await self._writer.drain()
        except ConnectionError:
            return  # the process has ended; `read` tells


class Ended:
    """What a container wrote that had ended before it was attached."""

    def __init__(self, output: bytes) -> None:
        self._output = output

    async def read(self) -> bytes:
        output, self._output = self._output, b""
        return output

    async def write(self, data: bytes) -> None:
        return

    async def write_eof(self) -> None:
        return

    async def resize(self, rows: int, columns: int) -> None:
        return

    async def close(self) -> None:
        return
