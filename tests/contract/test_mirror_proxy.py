"""The proxy of builds over real sockets: tunnels, plain requests, refusals, the machine's own proxy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from mirror_rig import BUILD, Loopback, host, mirror

from pogo.mirror import proxy, relay
from pogo.mirror.reach import Upstream

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Gives everything back, then a last word after the client has ended its side."""
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.write(b"bye")
    writer.close()


def http(seen: list[bytes], answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes") -> Serve:
    """Takes one request, notes it, answers, closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")), 0
        )
        seen.append(head + await reader.readexactly(length))
        writer.write(answer)
        writer.close()

    return serve


def test_a_tunnel_passes_everything_on_both_ways_to_the_last_byte(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with mirror(tmp_path) as rig, host(echo) as port:
            line, (reader, writer) = await rig.tunnel(f"echo.test:{port}")
            assert line == "HTTP/1.1 200 Connection established"
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.write_eof()
            assert await reader.read() == b"bye"
            writer.close()
            entry = await rig.entry(lambda one: one.method == "CONNECT")
            assert (entry.app, entry.build, entry.by, entry.host) == (*BUILD.__dict__.values(), "passed", "echo.test")
            assert (entry.sent, entry.received, entry.status) == (5, 8, 200)

    uvloop.run(scenario())


def test_200_mb_pass_at_constant_memory_and_at_the_pace_of_the_reader(tmp_path: Path) -> None:
    size, chunk = 200 << 20, b"x" * (1 << 20)
    written = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        for _ in range(size >> 20):
            writer.write(chunk)
            await writer.drain()
            written += len(chunk)
        writer.close()

    async def scenario() -> None:
        async with mirror(tmp_path) as rig, host(pour) as port:
            _, (reader, writer) = await rig.tunnel(f"big.test:{port}")
            await asyncio.sleep(0.5)
            assert written < 32 << 20  # nobody reads, so the host has to wait
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            seen = 0
            while data := await reader.read(1 << 20):
                seen += len(data)
            assert seen == size
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # kB
            writer.close()

    uvloop.run(scenario())


def test_a_plain_request_loses_what_was_for_the_proxy_and_keeps_its_body(tmp_path: Path) -> None:
    async def scenario() -> None:
        seen: list[bytes] = []
        async with mirror(tmp_path) as rig, host(http(seen)) as port:
            answer = await rig.raw(
                f"POST http://plain.test:{port}/a?b=secret HTTP/1.1\nHost: plain.test:{port}\nPASS\n"
                "Content-Length: 4\nProxy-Connection: keep-alive\n\nbody"
            )
            assert answer.endswith(b"\r\n\r\nyes")
            (request,) = seen
            assert request.startswith(b"POST /a?b=secret HTTP/1.1\r\nHost: plain.test")
            assert request.endswith(b"\r\nConnection: close\r\n\r\nbody")
            assert b"roxy-" not in request
            entry = await rig.entry(lambda one: one.method == "POST")
            assert (entry.path, entry.sent, entry.status) == ("/a", 4, 200)
            assert "secret" not in (tmp_path / "egress.log").read_text()

    uvloop.run(scenario())


def test_a_client_that_sends_the_next_request_at_once_still_reads_the_first_answer(tmp_path: Path) -> None:
    """As apt does. The connection ends after the first; the client sends the second again."""

    async def scenario() -> None:
        seen: list[bytes] = []
        body = b"z" * 300_000
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        async with mirror(tmp_path) as rig, host(http(seen, answer)) as port:
            request = f"GET http://plain.test:{port}/%d HTTP/1.1\nHost: plain.test\nPASS\n\n"
            got = await rig.raw(request % 1 + request % 2 + request % 3)
            assert got.endswith(body)
            assert len(seen) == 1

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("CONNECT pypi.org:443 HTTP/1.1\nHost: x\n\n", 407),
        ("CONNECT pypi.org:443 HTTP/1.1\nHost: x\nProxy-Authorization: Basic bWU6eW91\n\n", 407),
        ("GET http://pypi.org/ HTTP/1.1\nHost: x\n\n", 407),
        ("GET / HTTP/1.1\nHost: x\nPASS\n\n", 400),
        ("CONNECT 127.0.0.1:22 HTTP/1.1\nHost: x\nPASS\n\n", 403),
        ("CONNECT [::ffff:169.254.169.254]:80 HTTP/1.1\nHost: x\nPASS\n\n", 403),
        ("CONNECT 2130706433:22 HTTP/1.1\nHost: x\nPASS\n\n", 403),
        ("GET http://10.1.2.3/ HTTP/1.1\nHost: x\nPASS\n\n", 403),
        ("GET http://localhost:5000/ HTTP/1.1\nHost: x\nPASS\n\n", 403),
        ("CONNECT nowhere.invalid:443 HTTP/1.1\nHost: x\nPASS\n\n", 502),
        ("CONNECT gone.test:1 HTTP/1.1\nHost: x\nPASS\n\n", 502),
        ("nonsense\n\n", 400),
    ],
)
def test_what_is_refused_is_told(tmp_path: Path, request_: str, status: int) -> None:
    async def scenario() -> None:
        async with mirror(tmp_path, reach=Loopback()) as rig:
            answer = await rig.raw(request_)
            assert answer.split(b" ", 2)[1] == str(status).encode(), answer
            assert (b"Proxy-Authenticate: Basic" in answer) == (status == 407)
            if status in (403, 502):
                (entry,) = rig.log()
                assert entry.by == ("refused" if status == 403 else "passed")
                assert entry.reason

    uvloop.run(scenario())


def test_the_allow_list_is_asked_before_the_name_is_resolved(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with mirror(tmp_path, reach=Loopback(allow=("*.test",))) as rig, host(echo) as port:
            line, (_, writer) = await rig.tunnel("pypi.org:443")
            assert line.startswith("HTTP/1.1 403 pypi.org:443 is not among the hosts")
            writer.close()
            line, (_, writer) = await rig.tunnel(f"a.test:{port}")
            assert "200" in line
            writer.close()

    uvloop.run(scenario())


def test_one_build_cannot_take_all_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "PER_ADDRESS", 3)

    async def scenario() -> None:
        async with mirror(tmp_path) as rig, host(echo) as port:
            held = [await rig.tunnel(f"a.test:{port}") for _ in range(3)]
            assert (await rig.tunnel(f"a.test:{port}"))[0].startswith("HTTP/1.1 503 This build has 3 connections")
            for _, (_, writer) in held:
                writer.close()
            while rig.proxy.open:
                await asyncio.sleep(0.01)
            line, (_, writer) = await rig.tunnel(f"a.test:{port}")
            assert "200" in line
            writer.close()

    uvloop.run(scenario())


def test_who_says_nothing_for_long_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(proxy, "HEAD_SECONDS", 0.3)

    async def scenario() -> None:
        async with mirror(tmp_path) as rig, host(echo) as port:
            _, (reader, writer) = await rig.tunnel(f"a.test:{port}")
            assert await reader.read() == b""
            writer.close()
            await rig.entry(lambda one: one.host == "a.test")
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(b"CONNECT a")
            assert await reader.read() == b""
            writer.close()

    uvloop.run(scenario())


def test_a_host_that_breaks_off_does_not_look_like_an_end(tmp_path: Path) -> None:
    """The client has to see that something is missing, here by the length that was told."""

    async def scenario() -> None:
        cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf"
        async with mirror(tmp_path) as rig, host(http([], cut)) as port:
            status, _, said = await rig.curl(f"http://cut.test:{port}/")
            assert status == 18, said

    uvloop.run(scenario())


def test_where_the_machine_has_a_proxy_the_mirror_goes_through_it(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if head.startswith(b"CONNECT closed"):
            writer.write(b"HTTP/1.1 403 Closed for maintenance\r\n\r\n")
        elif head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\nVia: one\r\n\r\n")
            await echo(reader, writer)
            return
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nvia")
        writer.close()

    async def scenario() -> None:
        async with host(upstream) as port, host(echo) as direct:
            chain = Upstream("127.0.0.1", port, "me:word")
            reach = Loopback(https=chain, http=chain, direct=("inside.test",))
            async with mirror(tmp_path, reach=reach) as rig:
                line, (reader, writer) = await rig.tunnel("far.example:443")
                assert "200" in line
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                writer.close()
                line, (_, writer) = await rig.tunnel("closed.example:443")
                assert "502" in line and "Closed for maintenance" in line
                writer.close()
                answer = await rig.raw("GET http://far.example/x HTTP/1.1\nHost: far.example\nPASS\n\n")
                assert answer.endswith(b"via")
                line, (_, writer) = await rig.tunnel(f"inside.test:{direct}")
                assert "200" in line
                writer.close()
        word = base64.b64encode(b"me:word")
        assert [head.split(b"\r\n")[0] for head in seen] == [
            b"CONNECT far.example:443 HTTP/1.1",
            b"CONNECT closed.example:443 HTTP/1.1",
            b"GET http://far.example/x HTTP/1.1",
        ]
        assert all(b"Proxy-Authorization: Basic " + word in head for head in seen)
        assert all(head.count(b"roxy-Auth") == 1 for head in seen)

    uvloop.run(scenario())


def test_many_at_once(tmp_path: Path) -> None:
    body = hashlib.sha256(b"x").digest() * 8000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    async def scenario() -> None:
        async with mirror(tmp_path) as rig, host(http([], answer)) as port:

            async def one(number: int) -> None:
                request = f"GET http://h{number}.test:{port}/ HTTP/1.1\nHost: h\nPASS\n\n"
                assert (await rig.raw(request)).endswith(body)

            await asyncio.gather(*(one(number) for number in range(100)))
            while rig.proxy.open:
                await asyncio.sleep(0.01)
            assert len({entry.host for entry in rig.log()}) == 100

    uvloop.run(scenario())
