"""What a recipe gave, on the wire: whole files and parts of them, redirects, small texts."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from email.utils import formatdate

from pogo.mirror import Served
from pogo.mirror.relay import IDLE_SECONDS
from pogo.mirror.wire import BUFFER, Head, answer_head

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def part(header: str, size: int) -> tuple[int, int] | None:
    """(first byte, how many) of a `Range` header; None where the whole is to be sent, as for several parts.

    Raises ValueError where the file has no such part (RFC 9110, 14.1.2).
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = min(int(match[2]), size)
        if length == 0:
            raise ValueError(header)
        return size - length, length
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if first >= size:
        raise ValueError(header)
    return None if last < first else (first, last - first + 1)


async def send(head: Head, served: Served, writer: asyncio.StreamWriter, count: Callable[[int], None]) -> int:
    """Answer one request; the status that was sent. The connection stays open if the client wants it."""
    lasting = "keep-alive" if head.keep_alive else "close"
    fields = [*served.headers.items(), ("Date", formatdate(usegmt=True)), ("Connection", lasting)]
    if served.file is not None:
        return await _send_file(head, served, fields, writer, count)
    status, body = (302, b"") if served.location else (served.status, served.body)
    fields += [("Location", served.location)] if served.location else [("Content-Type", served.content_type)]
    writer.write(answer_head(status, [*fields, ("Content-Length", str(len(body)))]))
    if head.method != "HEAD":
        writer.write(body)
        count(len(body))
    async with asyncio.timeout(IDLE_SECONDS):
        await writer.drain()
    return status


async def _send_file(
    head: Head,
    served: Served,
    fields: list[tuple[str, str]],
    writer: asyncio.StreamWriter,
    count: Callable[[int], None],
) -> int:
    assert served.file is not None
    with served.file.open("rb") as file:
        facts = os.fstat(file.fileno())
        etag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
        fields += [
            ("ETag", etag),
            ("Last-Modified", formatdate(facts.st_mtime, usegmt=True)),
            ("Accept-Ranges", "bytes"),
        ]
        fields += [("Content-Type", served.content_type)] if served.content_type else []
        status, first, length = served.status, 0, facts.st_size
        wanted = head.get("range") if status == 200 and head.get("if-range") in ("", etag) else ""
        try:
            if wanted and (found := part(wanted, facts.st_size)):
                status, (first, length) = 206, found
                fields += [("Content-Range", f"bytes {first}-{first + length - 1}/{facts.st_size}")]
        except ValueError:
            status, length = 416, 0
            fields += [("Content-Range", f"bytes */{facts.st_size}")]
        writer.write(answer_head(status, [*fields, ("Content-Length", str(length))]))
        file.seek(first)
        while length > 0 and head.method != "HEAD":
            chunk = await asyncio.to_thread(file.read, min(length, 4 * BUFFER))
            if not chunk:
                raise ConnectionError(f"{served.file} was cut while it was sent")
            writer.write(chunk)
            count(len(chunk))
            length -= len(chunk)
            async with asyncio.timeout(IDLE_SECONDS):
                await writer.drain()
        async with asyncio.timeout(IDLE_SECONDS):
            await writer.drain()
    return status
