"""A web dyno's stand-in that speaks HTTP/1.1 byte by byte, for what a well-kept server would hide."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field

from edge_installation import Edge, websocket_accept

from pogo.router import Server


@dataclass
class Dyno:
    """connections, heads: all so far. now, most: requests at a time. release: lets `/hold` answer."""

    server: Server
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)


def start(edge: Edge, name: str) -> Dyno:
    return edge.run(_start(name))


async def _start(name: str) -> Dyno:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dyno.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                dyno.heads.append(head)
                dyno.now += 1
                dyno.most = max(dyno.most, dyno.now)
                try:
                    await _answer(dyno, head, reader, writer)
                finally:
                    dyno.now -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the router may leave at any time
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    dyno = Dyno(Server(name, "127.0.0.1", listener.sockets[0].getsockname()[1]))
    return dyno


async def _answer(dyno: Dyno, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    path = head.split(" ")[1].partition("?")[0]
    if path == "/echo":
        if "100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        async for data in _body(head, reader):
            writer.write(begin)
            begin = b""
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
        writer.write(b"0\r\nX-Sum: 42\r\n\r\n")
    elif path == "/count":
        size = 0
        async for data in _body(head, reader):
            size += len(data)
        _whole(writer, str(size))
    elif path == "/large":
        _whole(writer, "x" * (64 << 20))
        await writer.drain()
    elif path == "/hold":
        await dyno.release.wait()
        _whole(writer, dyno.server.name)
    elif path == "/silent":
        await reader.read()
    elif path == "/stall":  # the first part of an answer, the second one after two seconds, and no end
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await asyncio.sleep(2)
        writer.write(b"3\r\ntwo\r\n")
        await reader.read()
    elif path == "/die":
        raise ConnectionResetError
    elif "websocket" in head.lower():
        writer.write(websocket_accept(head.encode()))
        while data := await reader.read(1000):
            writer.write(data)
    else:
        _whole(writer, dyno.server.name, " 502 Bad Gateway" if path == "/own-502" else " 200 OK")


def _whole(writer: asyncio.StreamWriter, text: str, status: str = " 200 OK") -> None:
    writer.write(f"HTTP/1.1{status}\r\nContent-Length: {len(text)}\r\nX-App: 1\r\n\r\n{text}".encode())


async def _body(head: str, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The parts of a request's body as they come; the trailers last, if there are any."""
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    if fields.get("transfer-encoding") != "chunked":
        left = int(fields.get("content-length", "0"))
        while left:
            data = await reader.read(min(left, 1 << 20))
            left -= len(data)
            yield data
        return
    while size := int(await reader.readline(), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    while (line := await reader.readline()) != b"\r\n":
        yield line.strip()


class Raw:
    """A client that says exactly what it is told to."""

    def __init__(self, port: int, text: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        if text:
            self.send(text)

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def until(self, text: str) -> str:
        """What comes, up to this text. AssertionError if the connection ends before."""
        seen = b""
        while text.encode() not in seen:
            data = self.socket.recv(65536)
            assert data, f"closed after {seen!r}"
            seen += data
        return seen.decode()

    def rest(self) -> str:
        """All that comes until the router closes."""
        return b"".join(iter(lambda: self.socket.recv(65536), b"")).decode(errors="replace")

    def close(self) -> None:
        self.socket.close()


def talk(port: int, text: str) -> str:
    """Say this, return everything until the router closes; the text has to ask for that."""
    raw = Raw(port, text)
    with closing(raw.socket):
        return raw.rest()
