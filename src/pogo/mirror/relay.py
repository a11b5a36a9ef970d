"""Bytes from here to there, at constant memory and at the pace of the slower side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from pogo.mirror.egress import Entry
from pogo.mirror.wire import BUFFER, Head

IDLE_SECONDS = 900.0
LINGER_SECONDS = 2.0
CLOSE_SECONDS = 5.0
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    count: Callable[[int], None],
    *,
    limit: int | None = None,
) -> None:
    """Until the end or `limit` bytes.

    Raises TimeoutError where nothing comes, or nothing is taken, for IDLE_SECONDS; ConnectionError.
    """
    while limit is None or limit > 0:
        async with asyncio.timeout(IDLE_SECONDS):
            chunk = await reader.read(BUFFER if limit is None else min(limit, BUFFER))
            if not chunk:
                return
            writer.write(chunk)
            count(len(chunk))
            await writer.drain()
        if limit is not None:
            limit -= len(chunk)


async def tunnel(entry: Entry, near: Streams, far: Streams) -> None:
    """Both ways until both sides have ended. A side that has ended for itself may still be written to."""

    async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]) -> None:
        await copy(reader, writer, count)
        if writer.can_write_eof():
            writer.write_eof()

    ways = [
        asyncio.create_task(one_way(near[0], far[1], entry.send)),
        asyncio.create_task(one_way(far[0], near[1], entry.receive)),
    ]
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        for way in done:
            way.result()
    finally:
        await _end(*ways)


async def exchange(entry: Entry, head: Head, near: Streams, far: Streams) -> None:
    """The body of one request there, its answer here."""
    sending = asyncio.create_task(copy(near[0], far[1], entry.send, limit=head.length))
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            first = await far[0].read(BUFFER)
        if match := _STATUS.match(first):
            entry.status = int(match[1])
        near[1].write(first)
        entry.receive(len(first))
        await copy(far[0], near[1], entry.receive)
    finally:
        await _end(sending)


async def linger(near: Streams) -> None:
    """Let the client read the answer: closing over what it has sent meanwhile would make the kernel drop it."""
    reader, writer = near
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            while await reader.read(BUFFER):
                pass
    except (TimeoutError, OSError):
        return


async def close(writer: asyncio.StreamWriter) -> None:
    """Close, without waiting long for a peer that no longer listens."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel what still runs; what it raised is the other side's story."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
