"""HTTP/1.1 as a proxy needs it: heads of requests in, heads and short answers out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

import httptools

HEAD_BYTES = 64 << 10
BUFFER = 128 << 10
# What concerns one connection only (RFC 9110, 7.6.1) and is not passed on.
_HOP = {"connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "upgrade", "trailer"}


class Malformed(Exception):
    """What came in is no HTTP request that a proxy can handle. status: what the client is told."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Head:
    """A request without its body. target: as sent. fields: in order, names as sent."""

    method: str = ""
    target: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    keep_alive: bool = True

    def get(self, name: str) -> str:
        """The value of a field, given in lower case; "" for none."""
        return next((value for key, value in self.fields if key.lower() == name), "")

    @property
    def length(self) -> int | None:
        """Bytes of the body; None where it comes in chunks."""
        if self.get("transfer-encoding"):
            return None
        return int(self.get("content-length") or 0)

    def passed_on(self, target: str, extra: Iterable[tuple[str, str]] = ()) -> bytes:
        """The head for the next server, which is to close the connection after its answer."""
        listed = {name.strip().lower() for name in self.get("connection").split(",")}
        kept = [(name, value) for name, value in self.fields if name.lower() not in _HOP | listed]
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in (*kept, *extra))]
        return ("\r\n".join((*lines, "Connection: close")) + "\r\n\r\n").encode("latin-1")


class _Listener:
    def __init__(self, head: Head) -> None:
        self.head = head
        self.target = b""

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head.fields.append((name.decode("latin-1"), value.decode("latin-1")))


async def read_head(reader: asyncio.StreamReader, seconds: float) -> Head | None:
    """The next request's head; None where the client has closed, or said nothing for so long. Raises Malformed."""
    try:
        async with asyncio.timeout(seconds):
            raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
        return None
    except asyncio.LimitOverrunError:
        raw = b""
    if not 0 < len(raw) <= HEAD_BYTES:
        raise Malformed("The head of the request is too long.", 431)
    head = Head()
    listener = _Listener(head)
    parser = httptools.HttpRequestParser(listener)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # CONNECT, or a wish for another protocol, which nobody grants
    except httptools.HttpParserError as error:
        raise Malformed(f"This is no HTTP request: {error}.") from None
    head.method = parser.get_method().decode()
    head.target = listener.target.decode("latin-1")
    head.keep_alive = parser.should_keep_alive()
    if not head.target:
        raise Malformed("The request has no target.")
    return head


def answer_head(status: int, fields: Iterable[tuple[str, str]], reason: str = "") -> bytes:
    reason = reason.splitlines()[0][:200] if reason else HTTPStatus(status).phrase
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def short_answer(status: int, text: str, *, head_only: bool = False, extra: Iterable[tuple[str, str]] = ()) -> bytes:
    """A whole answer after which the connection ends. Tunnel clients show the reason, so it holds the text's begin."""
    body = f"{text}\n".encode()
    fields = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *extra]
    head = answer_head(status, [*fields, ("Connection", "close")], text)
    return head if head_only else head + body
