"""A real HAProxy with its own directory and ports, small web servers behind it, and its request log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pogo.router import Server, config
from pogo.router.config import Files, command, write
from pogo.router.haproxy import HaproxyRouter
from pogo.router.log_receiver import RouterLog
from pogo.rules.router_log import RouterRecord
from pogo.settings import Settings
from ports import free_port

T = TypeVar("T")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """A dyno's stand-in: `/` its name, `/headers` the request, `/slow`, `/close`, `/half`; echoes WebSockets."""

    server: Server
    listener: asyncio.AbstractServer
    requests: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)


class Edge:
    def __init__(self, max_apps: int = 20) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pogo-edge-"))
        self.directory.chmod(0o755)
        self.settings = Settings(
            _env_file=None,
            state_dir=self.directory,
            domain="localhost",
            bind="127.0.0.1",
            http_port=free_port(),
            https_port=free_port(),
            user="root",
            max_apps=max_apps,
        )
        self.settings.run_dir.mkdir(mode=0o755)
        self.paths = Files.of(self.settings)
        self.records: list[RouterRecord] = []
        self.router = HaproxyRouter(self.settings.router_socket, self.paths)
        self.log = RouterLog(self.paths.log_socket, self.records.extend)
        self.process: subprocess.Popen[bytes] | None = None
        self._webs: list[Web] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.later(coroutine).result(timeout=60)

    def later(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def start(self) -> None:
        self.paths.default_certificate.parent.mkdir(parents=True)
        self.paths.default_certificate.write_bytes(certificate("localhost", "*.localhost"))
        write(self.settings)
        self.run(self.log.start())
        self.start_haproxy()

    def start_haproxy(self) -> None:
        self.process = subprocess.Popen([*command(self.settings), "-q"], start_new_session=True)
        wait_until(self._answers, "HAProxy does not start")

    def kill_haproxy(self) -> None:
        """kill -9 of the master and its worker, nothing said before."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not self._answers(), "a killed worker does not end")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill_haproxy()
        self.run(self.log.stop())
        self.run(self._close_webs())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.directory)

    def _answers(self) -> bool:
        try:
            return self.run(fetch(self.settings.http_port, "localhost")).status > 0
        except OSError:
            return False

    async def _close_webs(self) -> None:
        for web in self._webs:
            await self._stop(web)
        await asyncio.sleep(0.05)

    def web(self, name: str = "web") -> Web:
        """Start one; its server is called `<name>-<number>`, unique as a container id."""
        return self.run(self._web(f"{name}-{len(self._webs)}"))

    def stop(self, server: Server) -> None:
        """kill -9 of the dyno's stand-in."""
        self.run(self._stop(next(web for web in self._webs if web.server == server)))

    async def _stop(self, web: Web) -> None:
        web.listener.close()
        for writer in list(web.open):
            writer.transport.abort()

    async def _web(self, name: str) -> Web:
        web: Web

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            web.open.add(writer)
            try:
                await _serve(web, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client may leave at any time
            finally:
                web.open.discard(writer)
                writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        web = Web(Server(name, "127.0.0.1", listener.sockets[0].getsockname()[1]), listener)
        self._webs.append(web)
        return web

    def get(self, host: str, path: str = "/", headers: dict[str, str] | None = None) -> Answer:
        return self.run(fetch(self.settings.http_port, host, path, headers))

    def record_of(self, host: str, path: str = "/") -> RouterRecord:
        """Make a request and wait for its record in the log."""
        request_id = str(uuid.uuid4())
        self.get(host, path, {"X-Request-Id": request_id})
        return self.record(request_id)

    def record(self, request_id: str) -> RouterRecord:
        found: list[RouterRecord] = []

        def arrived() -> bool:
            found[:] = [record for record in self.records if record.request_id == request_id]
            return bool(found)

        wait_until(arrived, "no record of the request")
        assert len(found) == 1
        return found[0]


@contextmanager
def running_edge(max_apps: int = 20, **constants: int) -> Iterator[Edge]:
    """One that is removed in the end. constants: other values for some of `pogo.router.config`, meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(config, name, value)
        edge = Edge(max_apps)
        try:
            edge.start()
            yield edge
        finally:
            edge.close()


async def _serve(web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        web.requests += 1
        path = head.split(b" ", 2)[1]
        if b"pgrade: websocket" in head:
            writer.write(websocket_accept(head))
            while data := await reader.read(1000):
                writer.write(data)
            return
        if path == b"/close":
            return
        if path == b"/half":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return
        if path == b"/bad":
            writer.write(b"this is not HTTP\r\n\r\n")
            return
        if path == b"/slow":
            await asyncio.sleep(1)
        body = head if path.startswith(b"/headers") else web.server.name.encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def websocket_accept(head: bytes) -> bytes:
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    return b"\r\n".join((*lines, b"Sec-WebSocket-Accept: " + accept, b"", b""))


class WebSocket:
    """An open one; its bytes are not framed, which neither HAProxy nor the stand-in minds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, host: str, source: str = "127.0.0.1") -> WebSocket:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head.split(b"\r\n")[0], head
        return cls(reader, writer)

    async def echo(self, data: bytes) -> bytes:
        self._writer.write(data)
        return await asyncio.wait_for(self._reader.readexactly(len(data)), 5)

    async def ended(self) -> bool:
        return await asyncio.wait_for(self._reader.read(1), 5) == b""

    async def close(self) -> None:
        self._writer.close()


async def fetch(port: int, host: str, path: str = "/", headers: dict[str, str] | None = None) -> Answer:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await request(reader, writer, host, path, headers)
    finally:
        writer.close()


async def request(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    host: str,
    path: str = "/",
    headers: dict[str, str] | None = None,
) -> Answer:
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode())
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode().split("\r\n")
    found = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(found.get("content-length", "0")))
    return Answer(int(head[0].split()[1]), found, body)


def handshake(port: int, name: str, alpn: list[str] | None = None, version: ssl.TLSVersion | None = None) -> Any:
    """(certificate's subject, ALPN, TLS version) of a TLS connection that asks for this name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if version:
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # or the client itself would refuse what is old
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        subject = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return subject, tls.selected_alpn_protocol(), tls.version()


def certificate(*names: str) -> bytes:
    """A self-signed certificate with its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM) + private


def wait_until(condition: Callable[[], bool], message: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.02)
