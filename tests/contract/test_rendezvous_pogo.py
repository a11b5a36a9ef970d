"""Attach sessions of `pogo`: frames instead of raw bytes; and what breaks sessions of both kinds."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attach_platform
import pytest
from attach_platform import AttachTarget, Client, Platform, Scenario, make_certificate, platform

from pogo.errors import Unavailable
from pogo.rules import rendezvous as rules

Run = Callable[[Scenario], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "localhost.pem")


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, certificate: Path) -> Run:
    return partial(attach_platform.run, request.param, certificate)


async def frames(client: Client, decoder: rules.Decoder, count: int) -> list[rules.Frame]:
    seen: list[rules.Frame] = []
    while len(seen) < count and (data := await client.chunk()):
        seen += decoder.feed(data)
    return seen


def test_a_session_of_pogo(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=True)
        client = await here.client(rules.hello("tty").decode())
        assert await client.chunk() == rules.GREETING
        decoder = rules.Decoder("dxm")
        await client.send(rules.encode_size(24, 80) + rules.encode("d", b"ls\x04") + rules.encode_size(0, 80))
        await client.send(rules.encode_size(50, 132) + rules.encode("e"))
        process.say(b"caf\xc3")
        assert await frames(client, decoder, 1) == [("d", b"caf\xc3")]
        while len(process.input) < 4:
            await asyncio.sleep(0.01)
        assert process.input == b"ls\x04\x04"
        assert process.events == ["resize 24x80", "resize 50x132"]
        process.output.put_nowait(b"bye")
        process.output.put_nowait(b"")
        assert await frames(client, decoder, 1) == [("d", b"bye")]
        process.status.set_result(137)
        [(kind, payload)] = await frames(client, decoder, 1)
        assert (kind, rules.decode_exit(payload)) == ("x", 137)
        assert await client.rest() == []
        await process.closed.wait()

    run(scenario)


def test_pipes_of_pogo_carry_any_byte(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        client = await here.client("pipe pogo/1\r\n")
        assert await client.chunk() == rules.GREETING
        data = bytes(range(256)) * 4000
        await client.send(rules.encode("d", data) + rules.encode("e"))
        await process.eof.wait()
        assert process.input == data
        process.say(data, data)
        process.end(None)
        seen = await frames(client, rules.Decoder("dxm"), 10**9)
        assert b"".join(frame.payload for frame in seen if frame.kind == "d") == data * 2
        assert rules.decode_exit(seen[-1].payload) == -1

    run(scenario)


@pytest.mark.parametrize("data", [b"x\0\0\0\0", b"d\xff\xff\xff\xff", b"r\0\0\0\1a"])
def test_a_client_that_breaks_the_protocol_is_told_and_hung_up(run: Run, data: bytes) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=True)
        client = await here.client("tty pogo/1\r\n")
        await client.chunk()
        await client.send(data)
        [(kind, _)] = await frames(client, rules.Decoder("m"), 5)
        assert kind == "m"
        await process.closed.wait()

    run(scenario)


def test_a_dyno_that_cannot_be_attached(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        here.secrets["gone"] = AttachTarget("c-gone", True)
        client = await here.client("gone\r\n")
        assert await client.chunk() == rules.GREETING
        assert await client.rest() == [b"\r\n !     The dyno did not start.\r\n"]
        process = here.start(tty=True)
        client = await here.client("tty pogo/1\r\n")
        assert await client.chunk() == rules.GREETING
        process.output.put_nowait(Unavailable("The dyno's host is gone."))
        assert rules.Decoder("m").feed(b"".join(await client.rest())) == [("m", b"The dyno's host is gone.")]
        await process.closed.wait()

    run(scenario)


def test_closing_the_server_hangs_everybody_up(certificate: Path) -> None:
    async def main() -> None:
        async with platform(certificate) as here:
            process = here.start(tty=True)
            client = await here.client("tty\r\n")
            await client.chunk()
        assert process.closed.is_set()
        with contextlib.suppress(OSError):
            assert await client.chunk() == b""

    asyncio.run(main())


POGO = """
import sys
from pogo.cli.attach import connect, join
from pogo.cli.platforms import Platform

port, secret, ca = sys.argv[1:]
connection, received = connect(Platform("https://localhost", "localhost", ca=ca), f"rendezvous://localhost:{port}/{secret}")
sys.exit(join(connection, received, terminal=False))
"""


def test_pogo_itself(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        process.say(b"there before you came\n")
        pogo = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", POGO, str(here.port), "pipe", str(here.certificate)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        data = bytes(range(256)) * 10_000
        talking = asyncio.create_task(pogo.communicate(data))
        await process.eof.wait()
        assert process.input == data
        process.say(data, b"\x04", data)
        process.end(41)
        out, _ = await talking
        assert out == b"there before you came\n" + data + b"\x04" + data
        assert pogo.returncode == 41

    run(scenario)
