"""Asking a dyno over real sockets, in the event loop that pogod uses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from pogo.loops import asking

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ask(serve: Serve, path: str = "/live", timeout: float = 5) -> str:
    """What is wrong with the answers of such a server."""

    async def run() -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            return await asking.path("127.0.0.1", port, path, "shop.localhost", timeout)
        finally:
            server.close()

    return uvloop.run(run())


def saying(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for at in range(0, len(answer), 5):  # in pieces
            writer.write(answer[at : at + 5])
        writer.close()

    return serve


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""),
        (b"HTTP/1.0 301\r\nLocation: https://shop.localhost/live\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000, ""),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "GET /live answered 503"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "GET /live was not answered in HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "GET /live was not answered in HTTP"),
        (b"x" * 10_000, "GET /live was not answered in HTTP"),
        (b"", "GET /live was not answered in HTTP"),
    ],
)
def test_answers(answer: bytes, expected: str) -> None:
    assert ask(saying(answer)) == expected


def test_what_is_asked() -> None:
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    assert ask(serve, "/live?x=1") == ""
    (head,) = heads
    assert head.startswith("GET /live?x=1 HTTP/1.1\r\nHost: shop.localhost\r\nUser-Agent: Pogoapp-Check\r\n")
    assert "Connection: close\r\n" in head


def test_a_server_that_does_not_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert ask(serve, timeout=0.05) == "GET /live was not answered within 0.05 seconds"


def test_ports() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        assert uvloop.run(asking.port("127.0.0.1", port, 1)) == f"nothing listens on port {port}"
        closed.listen()
        assert uvloop.run(asking.port("127.0.0.1", port, 1)) == ""
