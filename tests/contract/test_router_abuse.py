"""Hostile clients: each is refused or closed, no dyno sees two requests where the router saw one, others are served."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from edge_installation import Edge, fetch, running_edge, wait_until

from pogo.router import Backend, Routes, Server

HOST = b"Host: shop.localhost\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
MOST = 40  # connections of one client, here


class Dyno:
    """Reads requests as HTTP/1.1 says, and remembers their first lines. What it cannot read is remembered as well."""

    def __init__(self, edge: Edge) -> None:
        self.lines: list[bytes] = []
        self.heads: list[bytes] = []
        self._listener = edge.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.server = Server("dyno", "127.0.0.1", self._listener.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.lines.append(head.split(b"\r\n")[0])
                self.heads.append(head.lower())
                if b"transfer-encoding: chunked\r\n" in head.lower():
                    while size := int(await reader.readline(), 16):
                        await reader.readexactly(size + 2)
                    await reader.readuntil(b"\r\n")
                elif b"content-length: " in head.lower():
                    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the router has hung up
        finally:
            writer.close()


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_edge(max_apps=5, CLIENT_CONNECTIONS=MOST, HEADER_TIME=1) as edge:
        yield edge


@pytest.fixture(scope="module")
def dyno(edge: Edge) -> Dyno:
    dyno = Dyno(edge)
    other = edge.web("other").server
    hosts = {"shop.localhost": 1, "other.localhost": 2}
    edge.run(edge.router.apply(Routes(hosts, {1: Backend(1, (dyno.server,)), 2: Backend(2, (other,))})))
    return dyno


def connect(edge: Edge) -> socket.socket:
    return socket.create_connection(("127.0.0.1", edge.settings.http_port), timeout=5)


def send(edge: Edge, data: bytes) -> bytes:
    """All that is answered until the router hangs up, on nonsense in the end at the latest (400)."""
    with connect(edge) as client:
        client.sendall(data + b"nonsense\r\n\r\n")
        return read(client)


def read(client: socket.socket) -> bytes:
    answer = b""
    try:
        while data := client.recv(65536):
            answer += data
    except ConnectionError:
        pass  # hung up hard
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(part[2:5]) for part in answer.split(b"HTTP/1.")[1:]]


REFUSED = {
    "TE.TE": POST + CHUNKED + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "TE x": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" + SMUGGLED,
    "list of lengths": POST + b"Content-Length: 3, 4\r\n\r\nabc" + SMUGGLED,
    "length +3": POST + b"Content-Length: +3\r\n\r\nabc" + SMUGGLED,
    "length -3": POST + b"Content-Length: -3\r\n\r\nabc" + SMUGGLED,
    "length 0x3": POST + b"Content-Length: 0x3\r\n\r\nabc" + SMUGGLED,
    "no length": POST + b"Content-Length: \r\n\r\nabc" + SMUGGLED,
    "length beyond 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\nabc" + SMUGGLED,
    "bare CR": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\rTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    "NUL in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\x00c\r\n\r\n",
    "control in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: b\x1fc\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n" + SMUGGLED,
    "space in a name": b"GET / HTTP/1.1\r\n" + HOST + b"X A: 1\r\n\r\n" + SMUGGLED,
    "header before the first": b"GET / HTTP/1.1\r\n Host: shop.localhost\r\n\r\n" + SMUGGLED,
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: other.localhost\r\n\r\n" + SMUGGLED,
    "another host in the line": b"GET http://other.localhost/ HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED,
    "HTTP/0.9": b"GET /\r\n\r\n",
    "nonsense": b"\x16\x03\x01\x00\xff\x01\r\n\r\n",
    "no path": b"GET foo HTTP/1.1\r\n" + HOST + b"\r\n",
    "control in the path": b"GET /a\x01b HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the path": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "oversized header": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 20000 + b"\r\n\r\n",
    "oversized path": b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "flood of headers": b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
    "WebSocket without a key": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
}


def test_what_no_dyno_may_see(edge: Edge, dyno: Dyno) -> None:
    for name, data in REFUSED.items():
        dyno.lines.clear()
        assert statuses(send(edge, data)) == [400], name
        assert dyno.lines == [], name
    assert statuses(send(edge, b"CONNECT shop.localhost:80 HTTP/1.1\r\nHost: shop.localhost:80\r\n\r\n"))[:1] == [405]
    assert dyno.lines == []


def test_what_is_read_in_one_way_alone(edge: Edge, dyno: Dyno) -> None:
    """The router's reading is the dyno's: framing is written anew, so nobody can read more into it."""
    length = b"Content-Length: %d\r\n" % len(SMUGGLED)
    for name, data, wanted in (
        ("CL.TE: the length is dropped", POST + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED, 1),
        (
            "TE.CL",
            POST + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
            1,
        ),
        ("one length twice", POST + length * 2 + b"\r\n" + SMUGGLED, 1),
        ("a body of GET", b"GET / HTTP/1.1\r\n" + HOST + length + b"\r\n" + SMUGGLED, 1),
        ("chunked in HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED, 1),
        ("folded", POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 1),
        ("bare LF", b"POST / HTTP/1.1\n" + HOST + length + b"\n" + SMUGGLED, 1),
        ("pipelined, which is no attack", (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 2, 2),
    ):
        dyno.lines.clear()
        assert statuses(send(edge, data)) in ([200] * wanted, [200] * wanted + [400]), name
        assert [line.split()[1] for line in dyno.lines] == [b"/"] * wanted, name
    # A bad chunk: the dyno may have seen the head, and the connection to it is not used again.
    for chunk in (b"zz\r\nab\r\n", b"fffffffffffffffff\r\nab\r\n", b"2\r\nabcd\r\n"):
        dyno.lines.clear()
        assert statuses(send(edge, POST + CHUNKED + b"\r\n" + chunk + b"0\r\n\r\n" + SMUGGLED)) == [400]
        assert not any(b"smuggled" in line for line in dyno.lines)


def test_upgrades_to_other_protocols_stay_behind(edge: Edge, dyno: Dyno) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAAAA\r\n\r\n"
    assert statuses(send(edge, b"GET / HTTP/1.1\r\n" + HOST + upgrade))[:1] == [200]
    assert b"\r\nupgrade:" not in dyno.heads[-1]
    assert b"http2-settings" not in dyno.heads[-1]


def frame(kind: int, flags: int, stream: int, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + data


def text(data: bytes) -> bytes:
    """HPACK: a string of less than 127 bytes, not compressed."""
    return bytes((len(data),)) + data


def headers(stream: int, *pairs: tuple[bytes, bytes], end: bool = True) -> bytes:
    block = b"".join(b"\x00" + text(name) + text(value) for name, value in pairs)
    return frame(1, 5 if end else 4, stream, block)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
GET2 = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"shop.localhost"))
POST2 = ((b":method", b"POST"), *GET2[1:])


def test_http2_cannot_say_what_http1_cannot(edge: Edge, dyno: Dyno) -> None:
    body = frame(0, 1, 1, SMUGGLED)
    cases = {
        "length too small": headers(1, *POST2, (b"content-length", b"3"), end=False) + body,
        "length too great": headers(1, *POST2, (b"content-length", b"999"), end=False) + body,
        "two lengths": headers(1, *POST2, (b"content-length", b"3"), (b"content-length", b"4"), end=False) + body,
        "transfer-encoding": headers(1, *POST2, (b"transfer-encoding", b"chunked"), end=False) + body,
        "connection": headers(1, *GET2, (b"connection", b"close")),
        "CRLF in a value": headers(1, *GET2, (b"x-a", b"b\r\nx-c: d")),
        "LF in a value": headers(1, *GET2, (b"x-a", b"b\nx-c: d")),
        "CRLF in a name": headers(1, *GET2, (b"x-a: b\r\nx-c", b"d")),
        "colon in a name": headers(1, *GET2, (b"x:a", b"d")),
        "upper case": headers(1, *GET2, (b"X-A", b"b")),
        "CRLF in the path": headers(1, *GET2[:2], (b":path", b"/ HTTP/1.1\r\nx: y"), GET2[3]),
        "space in the path": headers(1, *GET2[:2], (b":path", b"/ HTTP/1.1"), GET2[3]),
        "space in the method": headers(1, (b":method", b"GET / HTTP/1.1"), *GET2[1:]),
        "two hosts": headers(1, *GET2, (b"host", b"other.localhost")),
        "two paths": headers(1, *GET2, (b":path", b"/b")),
        "CRLF in the host": headers(1, *GET2[:3], (b":authority", b"shop.localhost\r\nx: y")),
    }
    dyno.lines.clear()
    dyno.heads.clear()
    for data in cases.values():
        with connect(edge) as client:
            client.sendall(PREFACE + data + headers(3, *GET2[:2], (b":path", b"/good"), GET2[3]))
            client.shutdown(socket.SHUT_WR)
            read(client)
    edge.get("shop.localhost", "/last")
    wait_until(lambda: b"GET /last HTTP/1.1" in dyno.lines, "the dyno is not reached")
    # Of two hosts the authority alone is read (RFC 9113, 8.3.1), and passed on.
    assert dyno.lines.count(b"GET / HTTP/1.1") <= 1
    # Of a body of another length than announced, a dyno may have seen the head.
    assert set(dyno.lines) <= {b"GET /last HTTP/1.1", b"GET /good HTTP/1.1", b"GET / HTTP/1.1", b"POST / HTTP/1.1"}, (
        dyno.lines
    )
    assert dyno.lines.count(b"POST / HTTP/1.1") <= 2
    for head in dyno.heads:
        assert b"x-c" not in head and b"x: y" not in head and b"other" not in head, head


def test_rapid_reset(edge: Edge, dyno: Dyno) -> None:
    """20,000 requests that are taken back at once: the dyno sees few of them, and others are served meanwhile."""
    dyno.lines.clear()
    reset = struct.pack(">I", 8)
    with connect(edge) as client:
        client.sendall(PREFACE)
        began = time.monotonic()
        slowest = 0.0
        try:
            for first in range(1, 40000, 2000):
                streams = range(first, first + 2000, 2)
                client.sendall(b"".join(headers(n, *GET2) + frame(3, 0, n, reset) for n in streams))
                asked = time.monotonic()
                assert edge.get("other.localhost").status == 200
                slowest = max(slowest, time.monotonic() - asked)
        except (ConnectionError, TimeoutError):
            pass  # the router has had enough of it
        assert slowest < 3, (slowest, time.monotonic() - began)
    assert len(dyno.lines) < 10000


def test_a_client_that_dawdles_is_hung_up(edge: Edge, dyno: Dyno) -> None:
    with connect(edge) as slow, connect(edge) as silent:
        began = time.monotonic()
        slow.sendall(b"GET / HTTP/1.1\r\n")
        closed = False
        while not closed and time.monotonic() - began < 5:  # a header line every 100 ms does not keep it open
            time.sleep(0.1)
            try:
                slow.sendall(b"X-A: b\r\n")
                slow.setblocking(False)
                closed = slow.recv(1000).startswith(b"HTTP/1.1 408")
            except BlockingIOError:
                slow.setblocking(True)
            except ConnectionError:
                closed = True
        assert closed and time.monotonic() - began < 5
        assert statuses(read(silent)) == [408]


def test_one_client_does_not_take_all_connections(edge: Edge, dyno: Dyno) -> None:
    clients = []
    rejected = 0
    try:
        for _ in range(MOST + 20):
            try:
                clients.append(connect(edge))
            except ConnectionError:
                rejected += 1
        time.sleep(0.1)
        for client in clients:
            client.setblocking(False)
            try:
                rejected += client.recv(10) == b""
            except BlockingIOError:
                continue
            except ConnectionError:
                rejected += 1
        assert rejected >= 20
        # Another address has not lost anything.
        with socket.create_connection(("127.0.0.1", edge.settings.http_port), 5, ("127.0.0.9", 0)) as neighbour:
            neighbour.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
            assert statuses(read(neighbour)) == [200]
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: _served(edge), "the connections do not come free")


def _served(edge: Edge) -> bool:
    try:
        return edge.run(fetch(edge.settings.http_port, "shop.localhost")).status == 200
    except (OSError, EOFError):
        return False
