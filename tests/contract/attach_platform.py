"""An attach server over real TLS, containers that are the test, and a client that sees TLS records."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import cast

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pogo.api.rendezvous import AttachTarget, Rendezvous
from pogo.containers import Containers
from pogo.errors import ContainerError, NotFound

MARKER = b"\xef\xbf\xbf heroku-command-exit-status: "


def make_certificate(path: Path) -> Path:
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

    def send_and_hear(self) -> bytes:
        """Send without a pause until the other side has ended; what it said. One thread: TLS is not made for two."""
        heard = b""
        self.tls.settimeout(0)
        while True:
            with contextlib.suppress(ssl.SSLWantWriteError):
                self.tls.send(b"x" * 8192)
            try:
                data = self.tls.recv(65536)
            except ssl.SSLWantReadError:
                continue
            if not data:
                return heard
            heard += data


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
    server = Rendezvous("127.0.0.1", 0, context, cast(Containers, here), here.claim, here.exit_status)
    await server.start()
    here.port = server.port
    try:
        yield here
    finally:
        await server.stop()


Scenario = Callable[[Platform], Awaitable[None]]


def run(loop: str, certificate: Path, scenario: Scenario) -> None:
    """Play a scenario on the event loop of that name."""

    async def main() -> None:
        async with asyncio.timeout(60), platform(certificate) as here:
            await scenario(here)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        runner.run(main())
