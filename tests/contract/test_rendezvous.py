"""The attach server over real TLS, with clients that behave as the official CLI."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attach_platform
import pytest
from attach_platform import MARKER, Platform, Scenario, make_certificate

from pogo.api import rendezvous as server_module
from pogo.rules import rendezvous as rules

Run = Callable[[Scenario], None]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "localhost.pem")


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, certificate: Path) -> Run:
    return partial(attach_platform.run, request.param, certificate)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_greeting_is_a_record_of_its_own(run: Run, version: ssl.TLSVersion) -> None:
    async def scenario(here: Platform) -> None:
        for _ in range(10):
            process = here.start(tty=False)
            process.say(b"output that was there before\n")
            process.end()
            client = await here.client("pipe\r\n\x04", version)
            assert await client.chunk() == b"rendezvous\r\n"
            assert await client.rest() == [b"output that was there before\n"]

    run(scenario)


def test_the_exit_marker_stays_in_one_record(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        client = await here.client("pipe\r\n\x04")
        process.say(b"x" * 16_360, MARKER[:2], MARKER[2:20])
        await asyncio.sleep(0.03)
        process.say(MARKER[20:] + b"3", b"\n")
        process.end(3)
        assert await client.chunk() == rules.GREETING
        chunks = await client.rest()
        assert b"".join(chunks) == b"x" * 16_360 + MARKER + b"3\n"
        assert [chunk for chunk in chunks if MARKER + b"3\n" in chunk]

    run(scenario)


def test_characters_are_not_torn_and_nothing_is_held_for_long(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=True)
        client = await here.client("tty\r\n")
        await client.chunk()
        process.say(b"caf\xc3")
        assert await client.chunk() == b"caf"
        process.say(b"\xa9 ")
        assert await client.chunk() == b"\xc3\xa9 "
        process.say(b"bad \xc3")
        assert await client.chunk() == b"bad "
        assert await client.chunk() == b"\xc3"
        took = []  # once may be late on a busy machine
        for _ in range(10):
            started = time.monotonic()
            process.say(b"$ ")
            assert await client.chunk() == b"$ "
            took.append(time.monotonic() - started)
        assert min(took) < 0.1
        process.end()
        assert await client.rest() == []

    run(scenario)


def test_without_a_terminal_eot_ends_the_input(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        client = await here.client("pipe\r\nglued ")
        await client.chunk()
        await client.send(b"to the secret\n\x04")
        await process.eof.wait()
        await client.send(b"\x04too late")
        assert process.input == b"glued to the secret\n"
        process.say(b"answer\n")
        process.end()
        assert await client.rest() == [b"answer\n"]
        await process.closed.wait()

    run(scenario)


def test_a_terminal_gets_every_byte(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=True)
        client = await here.client("tty\r\n")
        await client.chunk()
        await client.send(b"ls\r\x03\x04")
        while len(process.input) < 5:
            await asyncio.sleep(0.01)
        assert process.input == b"ls\r\x03\x04"
        assert process.events == []

    run(scenario)


def test_a_client_that_still_sends_gets_the_last_output_and_no_reset(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LINGER_SECONDS", 2)

    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        client = await here.client("pipe\r\n")
        await client.chunk()
        talking = asyncio.create_task(asyncio.to_thread(client.send_and_hear))
        await asyncio.sleep(0.1)
        process.say(b"enough\n")
        process.end()
        assert await talking == b"enough\n"
        client.tls.close()

    run(scenario)


def test_the_end_waits_for_an_eot_on_its_way(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        process.say(b"quick\n")
        process.end()
        client = await here.client("pipe\r\n")
        assert await client.chunk() == rules.GREETING
        assert await client.chunk() == b"quick\n"
        end = asyncio.create_task(client.chunk())
        await asyncio.sleep(0.3)
        assert not end.done()
        await client.send(b"last words\n\x04")
        assert await asyncio.wait_for(end, 0.3) == b""
        process = here.start(tty=True)
        client = await here.client("tty\r\n")
        await client.chunk()
        await asyncio.sleep(0.4)
        started = time.monotonic()
        process.end()
        assert await client.rest() == []
        assert time.monotonic() - started < 0.2, "a silent terminal is not waited for"

    run(scenario)


def test_a_process_without_output_is_not_hung_up_before_it_ends(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        client = await here.client("pipe\r\n\x04")
        await client.chunk()
        process.say(b"")
        await asyncio.sleep(0.2)
        assert not process.closed.is_set()
        process.status.set_result(0)
        assert await client.rest() == []
        await process.closed.wait()

    run(scenario)


@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_a_client_that_vanishes_hangs_up(run: Run, goodbye: str) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=True)
        client = await here.client("tty\r\n")
        await client.chunk()
        if goodbye == "reset":
            client.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.tls.close()
        await asyncio.wait_for(process.closed.wait(), 5)

    run(scenario)


def test_a_slow_client_slows_the_process_down(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        client = await here.client("pipe\r\n\x04")
        pieces = 600
        process.say(*[b"x" * 65536] * pieces)
        process.end()
        last = -1
        while process.reads != last:
            last = process.reads
            await asyncio.sleep(0.3)
        assert process.reads < 300, "the server read on although nobody took its output"
        assert sum(map(len, await client.rest())) == len(rules.GREETING) + pieces * 65536

    run(scenario)


def test_a_process_that_does_not_read_slows_the_client_down(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        process.accepts_input.clear()
        client = await here.client("pipe\r\n")
        sending = asyncio.create_task(client.send(b"x" * 30_000_000 + b"\x04"))
        await asyncio.sleep(0.5)
        assert not sending.done()
        process.accepts_input.set()
        await sending
        await process.eof.wait()
        assert len(process.input) == 30_000_000

    run(scenario)


def test_unknown_and_used_secrets(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        here.start(tty=False).end()
        client = await here.client("pipe\r\n\x04")
        assert await client.rest() == [rules.GREETING]
        for secret in ("pipe", "never"):
            client = await here.client(f"{secret}\r\n")
            assert await client.chunk() == rules.GREETING
            [text] = await client.rest()
            assert b" !     This session is over or was never there." in text
        client = await here.client("never pogo/1\r\n")
        assert await client.chunk() == rules.GREETING
        [frame] = rules.Decoder("m").feed(b"".join(await client.rest()))
        assert frame.payload.startswith(b"This session is over")

    run(scenario)


@pytest.mark.parametrize("hello", ["\r\n", "x" * 5000, "a b c\r\n", "tty pogo/9\r\n"])
def test_a_first_line_that_is_no_secret(run: Run, hello: str) -> None:
    async def scenario(here: Platform) -> None:
        here.start(tty=True)
        client = await here.client(hello)
        assert await client.chunk() == rules.GREETING
        assert b" !     " in b"".join(await client.rest())
        assert "tty" in here.secrets

    run(scenario)


def test_clients_that_say_nothing_or_speak_no_tls(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HELLO_SECONDS", 0.3)

    async def scenario(here: Platform) -> None:
        silent = await here.client("")
        assert await silent.rest() == []
        for first in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(first)
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(reader.read(), 5)
            writer.close()
        process = here.start(tty=False)
        process.end()
        client = await here.client("pipe\r\n\x04")
        assert await client.rest() == [rules.GREETING]

    run(scenario)


# What the official CLI does, as far as the server can tell: Node's TLS, the first data chunk
# dropped, each further one searched by itself for the exit marker.
OFFICIAL = r"""
const tls = require('tls'), fs = require('fs')
const [port, secret, ca, input, times] = process.argv.slice(1)
const seen = {text: '', status: null, ended: false, error: null}
const c = tls.connect(Number(port), '127.0.0.1', {ca: fs.readFileSync(ca), servername: 'localhost'})
let first = true
c.setEncoding('utf8')
c.on('secureConnect', () => c.write(secret + '\r\n'))
c.on('data', data => {
  if (first) { first = false; c.write(input.repeat(Number(times))); c.write('\x04'); return }
  const match = data.match(/\uFFFF heroku-command-exit-status: (\d+)/)
  if (match) seen.status = Number(match[1])
  seen.text += data.replace(/\r?\n?\uFFFF heroku-command-exit-status: \d+\r?\n?/, '')
})
c.on('error', error => { seen.error = error.code })
c.on('end', () => { seen.ended = true })
c.on('close', () => console.log(JSON.stringify(seen)))
"""


async def official(here: Platform, secret: str, data: str, times: int) -> dict[str, object]:
    node = await asyncio.create_subprocess_exec(
        "node",
        "-e",
        OFFICIAL,
        str(here.port),
        secret,
        str(here.certificate),
        data,
        str(times),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await node.communicate()
    assert node.returncode == 0
    return dict(json.loads(out))


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_client_like_the_official_one(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        process.say(b"there before you came\n")
        running = asyncio.create_task(official(here, "pipe", "in\n", 100_000))
        await process.eof.wait()
        assert process.input == b"in\n" * 100_000
        text = "é€𐍈" * 9000
        process.say(*[text.encode()[start : start + 1000] for start in range(0, len(text.encode()), 1000)])
        process.say(MARKER[:1], MARKER[1:] + b"7\n")
        process.end(7)
        seen = await running
        assert seen == {"text": "there before you came\n" + text, "status": 7, "ended": True, "error": None}
        # It ends while the client's input is still on its way.
        process = here.start(tty=False)
        process.say(b"done " + MARKER + b"0\n")
        process.end()
        process.accepts_input.clear()
        seen = await official(here, "pipe", "x", 1_000_000)
        assert seen == {"text": "done ", "status": 0, "ended": True, "error": None}

    run(scenario)
