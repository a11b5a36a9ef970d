"""The attach server over real TLS, with clients that behave as the official CLI and as ours."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import shutil
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pogo.api import rendezvous as server_module
from pogo.api.rendezvous import AttachTarget, RendezvousServer
from pogo.errors import ContainerError, NotFound, Unavailable
from pogo.rules import rendezvous as rules

MARKER = b"\xef\xbf\xbf heroku-command-exit-status: "


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-made certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


class Process:
    """An attachment whose process is the test."""

    def __init__(self) -> None:
        self.output: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.input = bytearray()
        self.events: list[str] = []
        self.closed = asyncio.Event()
        self.eof = asyncio.Event()
        self.status: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.accepts_input = asyncio.Event()
        self.accepts_input.set()
        self.reads = 0

    async def read(self) -> bytes:
        data = await self.output.get()
        self.reads += 1
        if isinstance(data, Exception):
            raise data
        return data

    async def write(self, data: bytes) -> None:
        await self.accepts_input.wait()
        if self.eof.is_set():
            raise BrokenPipeError
        self.input += data

    async def write_eof(self) -> None:
        self.events.append("eof")
        self.eof.set()

    async def resize(self, rows: int, columns: int) -> None:
        self.events.append(f"resize {rows}x{columns}")

    async def close(self) -> None:
        self.closed.set()

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.output.put_nowait(piece)

    def end(self, status: int | None = 0) -> None:
        self.output.put_nowait(b"")
        self.status.set_result(status)


class Client:
    """A blocking TLS client in threads: `chunk` gives what one TLS record held."""

    def __init__(self, port: int, certificate: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        context = ssl.create_default_context(cafile=str(certificate))
        context.maximum_version = version
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.tls = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(self.tls.sendall, data)

    async def chunk(self) -> bytes:
        return await asyncio.to_thread(self.tls.recv, 65536)

    async def rest(self) -> list[bytes]:
        chunks = []
        while data := await self.chunk():
            chunks.append(data)
        return chunks


class Platform:
    """The server, and one container for each of the secrets."""

    def __init__(self, port: int, certificate: Path) -> None:
        self.port = port
        self.certificate = certificate
        self.secrets: dict[str, AttachTarget] = {}
        self.processes: dict[str, Process] = {}

    def start(self, *, tty: bool) -> Process:
        name = "tty" if tty else "pipe"
        self.secrets[name] = AttachTarget(f"c-{name}", tty)
        self.processes[f"c-{name}"] = Process()
        return self.processes[f"c-{name}"]

    async def claim(self, secret: str) -> AttachTarget:
        try:
            return self.secrets.pop(secret)
        except KeyError:
            raise NotFound("session", "This session is over or was never there. Start another one.") from None

    async def attach(self, id: str) -> Process:
        if id not in self.processes:
            raise ContainerError("The dyno did not start.")
        return self.processes[id]

    async def exit_status(self, id: str) -> int | None:
        return await self.processes[id].status

    async def client(self, hello: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Client:
        client = await asyncio.to_thread(Client, self.port, self.certificate, version)
        await client.send(hello.encode())
        return client


@contextlib.asynccontextmanager
async def platform(certificate: Path) -> AsyncIterator[Platform]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    here = Platform(0, certificate)
    server = RendezvousServer(context, claim=here.claim, attach=here.attach, exit_status=here.exit_status)
    here.port = await server.start("127.0.0.1", 0)
    try:
        yield here
    finally:
        await server.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, certificate: Path) -> Callable[[Callable[[Platform], Awaitable[None]]], None]:
    def run(scenario: Callable[[Platform], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(60), platform(certificate) as here:
                await scenario(here)

        factory = uvloop.new_event_loop if request.param == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    return run


Run = Callable[[Callable[[Platform], Awaitable[None]]], None]


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
        started = time.monotonic()
        process.say(b"$ ")
        assert await client.chunk() == b"$ "
        assert time.monotonic() - started < 0.1
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


def test_a_client_that_still_sends_gets_the_last_output_and_no_reset(run: Run) -> None:
    async def scenario(here: Platform) -> None:
        process = here.start(tty=False)
        client = await here.client("pipe\r\n")
        await client.chunk()
        stop = threading.Event()

        def send() -> None:
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    client.tls.sendall(b"x" * 8192)

        sender = asyncio.create_task(asyncio.to_thread(send))
        await asyncio.sleep(0.1)
        process.say(b"enough\n")
        process.end()
        assert await client.rest() == [b"enough\n"]
        stop.set()
        client.tls.close()
        await sender

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


# From here on: pogo/1.


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


async def official(here: Platform, secret: str, data: str, times: int) -> dict[str, Any]:
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
