"""A mirror on loopback, hosts for it to reach, and clients that speak to it as builds do."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pogo.install import certificates
from pogo.mirror import CannotMake, Request, Served, wire
from pogo.mirror.answering import Answering
from pogo.mirror.authority import Authority
from pogo.mirror.egress import EgressLog, Entry, entries
from pogo.mirror.proxy import Proxy
from pogo.mirror.reach import Reach
from pogo.mirror.repositories import Repositories
from pogo.rules import build_passes
from pogo.rules.build_passes import Visitor
from pogo.settings import Settings

KEY = b"k" * 32
BUILD = Visitor("my-app", "b1")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Loopback(Reach):
    """Hosts ending in `.test` are on loopback, at the port that was asked for; the rules stay for all others."""

    async def _connect_directly(self, host: str, port: int) -> Streams:
        if host.endswith(".test"):
            return await asyncio.open_connection("127.0.0.1", port, limit=wire.BUFFER)
        return await super()._connect_directly(host, port)


class Files:
    """A recipe that answers for one host from a directory. `/slow` takes long, `/broken` fails, `/real…` is not its."""

    tool = "files"

    def __init__(self, directory: Path, host: str = "files.example") -> None:
        self.hosts = (host,)
        self.directory = directory
        self.asked: list[Request] = []

    async def answer(self, request: Request) -> Served | None:
        self.asked.append(request)
        if request.path.startswith("/real"):
            return None
        if request.path == "/broken":
            raise CannotMake("The registry does not have it.")
        if request.path == "/bug":
            raise RuntimeError("bug")
        if request.path == "/elsewhere":
            return Served(location="https://files.example/one")
        if request.path == "/text":
            return Served(body=b"text\n", content_type="text/plain")
        return Served(file=self.directory / request.path.lstrip("/"))

    async def prefetch(self, version: str) -> list[Path]:
        return [self.directory / version]


class Rig:
    def __init__(self, proxy: Proxy, port: int, directory: Path) -> None:
        self.proxy = proxy
        self.port = port
        self.directory = directory
        self.credentials = build_passes.issue(KEY, BUILD, int(time.time()) + 600)

    @property
    def url(self) -> str:
        return f"http://{self.credentials}@127.0.0.1:{self.port}"

    @property
    def header(self) -> str:
        return f"Proxy-Authorization: Basic {base64.b64encode(self.credentials.encode()).decode()}"

    def log(self) -> list[Entry]:
        return [*entries(self.directory)]

    async def entry(self, wanted: Callable[[Entry], bool], within: float = 5) -> Entry:
        """The first entry of the log for which this holds, which may be about to be written."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            found = next((one for one in self.log() if one.seconds is not None and wanted(one)), None)
            if found:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError([str(one) for one in self.log()])

    async def tunnel(self, target: str) -> tuple[str, Streams]:
        """The first line of the answer to CONNECT, and the tunnel."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{self.header}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        return head.split(b"\r\n")[0].decode(), (reader, writer)

    async def raw(self, request: str) -> bytes:
        """The whole answer to bytes of a client, `\\n` for line ends; PASS stands for its credentials."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request.replace("PASS", self.header).replace("\n", "\r\n").encode())
        answer = await reader.read()
        writer.close()
        return answer

    async def curl(self, *args: str) -> tuple[int, bytes, str]:
        """curl through the mirror: its exit status, what it got, what it said."""
        ca = str(self.directory / "tls" / "mirror" / "ca.pem")
        command = ["curl", "-sS", "--proxy", self.url, "--noproxy", "", "--cacert", ca, *args]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, said = await process.communicate()
        return process.returncode or 0, out, said.decode()


@asynccontextmanager
async def mirror(
    directory: Path, *, reach: Reach | None = None, recipe: Files | None = None, git: Path | None = None
) -> AsyncIterator[Rig]:
    directory.mkdir(exist_ok=True)
    (directory / "tls").mkdir(exist_ok=True)
    settings = Settings(_env_file=None, state_dir=directory)  # type: ignore[call-arg]
    hosts = (*(recipe.hosts if recipe else ()), "github.com")
    certificates.ensure_mirror(settings, hosts, 0)
    found = reach or Loopback()
    egress = EgressLog(directory)
    proxy = Proxy(KEY, found, egress)
    proxy.authority = Authority(directory / "tls" / "mirror")
    proxy.answering = Answering([recipe] if recipe else [], Repositories(git) if git else None, found, egress)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=wire.BUFFER)
    try:
        yield Rig(proxy, server.sockets[0].getsockname()[1], directory)
    finally:
        server.close()


@asynccontextmanager
async def host(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server on loopback; its port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


__all__ = ["BUILD", "KEY", "Files", "Loopback", "Rig", "host", "mirror"]
