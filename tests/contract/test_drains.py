"""Log drains against real receivers, HTTPS and syslog over TLS, that fail, refuse, come back and lag behind."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from attach_platform import make_certificate

from pogo.containers.memory import MemoryContainers
from pogo.errors import InvalidParams, NotFound
from pogo.logs import Line
from pogo.logs.files import FileLogs
from pogo.logs.transcripts import Transcripts
from pogo.loops import drains as loop_module
from pogo.loops.drains import Drains
from pogo.model import App, LogDrain
from pogo.router.memory import MemoryRouter
from pogo.rules.drains import MOST
from pogo.services import apps, drains, people
from pogo.services.database import Database
from pogo.services.platform import Platform
from pogo.settings import Settings
from pogo.store.memory import MemoryStore

Scenario = Callable[[], Awaitable[None]]


@pytest.fixture
def platform(tmp_path: Path, db: Database) -> Platform:
    return Platform(
        settings=Settings(state_dir=tmp_path),
        db=db,
        store=MemoryStore(),
        logs=FileLogs(tmp_path / "logs", 1000),
        transcripts=Transcripts(tmp_path / "transcripts"),
        containers=MemoryContainers(),
        router=MemoryRouter(),
        node="test",
    )


@pytest.fixture
def app(db: Database) -> App:
    return apps.create_app(db, people.create_user(db, "ann@example.com", "correct horse"), "shop", "pogo-13", 10)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Of the receivers, whose certificate this machine trusts."""
    certificate = make_certificate(tmp_path / "localhost.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class Receiver:
    """status: what the next requests are answered with. messages: what came, without the frames."""

    def __init__(self) -> None:
        self.status = 204
        self.messages: list[str] = []
        self.heads: list[dict[str, str]] = []
        self.port = 0

    @contextlib.asynccontextmanager
    async def listen(self, tls: ssl.SSLContext | None, *, web: bool) -> AsyncIterator[Receiver]:
        connections: set[asyncio.StreamWriter] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.add(writer)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await (self._requests(reader, writer) if web else self._frames(reader))

        server = await asyncio.start_server(connected, "127.0.0.1", self.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in connections:
                writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.heads.append({"": first, **headers})
            if self.status == 204:
                found = [message.rstrip("\n") for message in _parts(body)]
                assert len(found) == int(headers["logplex-msg-count"])
                self.messages += found
            writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n\r\n".encode())

    async def _frames(self, reader: asyncio.StreamReader) -> None:
        while True:
            length = int(await reader.readuntil(b" "))
            self.messages.append((await reader.readexactly(length)).decode())

    def texts(self) -> list[str]:
        return [message.partition(" - ")[2].removeprefix("- ") for message in self.messages]


def _parts(body: bytes) -> list[str]:
    found = []
    while body:
        length, _, rest = body.partition(b" ")
        found.append(rest[: int(length)].decode())
        body = rest[int(length) :]
    return found


@contextlib.asynccontextmanager
async def draining(platform: Platform) -> AsyncIterator[Drains]:
    """The loop as pogod runs it, until it is killed."""
    loop = Drains(platform)
    await loop.turn()
    turning = asyncio.create_task(_turn(loop))
    try:
        yield loop
    finally:
        turning.cancel()
        for task in loop._tasks.values():
            task.cancel()
        await asyncio.gather(*loop._tasks.values(), return_exceptions=True)


async def _turn(loop: Drains) -> None:
    while True:
        await asyncio.sleep(0.05)
        await loop.turn()


async def eventually(condition: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def write(platform: Platform, app: App, *texts: str) -> None:
    platform.logs.append(app.id, [Line(time.time(), "app", "web.1", text) for text in texts])


def add(platform: Platform, app: App, url: str) -> LogDrain:
    return drains.add_drain(platform.db, app, url, private=True, position="")


def test_https(platform: Platform, app: App, tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        write(platform, app, "one", "two")
        async with Receiver().listen(tls, web=True) as receiver, draining(platform):
            drain = add(platform, app, f"https://me:secret@localhost:{receiver.port}/in?x=1")
            await eventually(lambda: receiver.texts() == ["one", "two"])
            head = receiver.heads[0]
            assert head[""] == "POST /in?x=1 HTTP/1.1"
            assert head["content-type"] == "application/logplex-1"
            assert head["logplex-drain-token"] == drain.token
            assert head["authorization"] == "Basic bWU6c2VjcmV0"
            assert head["host"] == f"localhost:{receiver.port}"
            began = time.monotonic()
            write(platform, app, "three")
            await eventually(lambda: receiver.texts()[2:] == ["three"])
            assert time.monotonic() - began < 5
            drains.remove_drain(platform.db, app, drain.token)
            await asyncio.sleep(0.2)
            write(platform, app, "four")
            await asyncio.sleep(0.2)
            assert len(receiver.messages) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("scheme", ["syslog", "syslog+tls"])
def test_syslog(platform: Platform, app: App, tls: ssl.SSLContext, scheme: str) -> None:
    async def scenario() -> None:
        context = tls if scheme == "syslog+tls" else None
        async with Receiver().listen(context, web=False) as receiver, draining(platform):
            drain = add(platform, app, f"{scheme}://localhost:{receiver.port}")
            write(platform, app, "one", "two é")
            await eventually(lambda: receiver.texts() == ["one", "two é"])
            assert f" {drain.token} app web.1 - - one" in receiver.messages[0]

    asyncio.run(scenario())


def test_an_untrusted_certificate_is_refused_and_told(
    platform: Platform, app: App, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    monkeypatch.setattr(loop_module, "SILENCE", 0.1)

    async def scenario() -> None:
        async with Receiver().listen(tls, web=True) as receiver, draining(platform):
            add(platform, app, f"https://localhost:{receiver.port}/")
            write(platform, app, "secret")
            await eventually(lambda: any("certificate" in text.lower() for text in said(platform, app)))
            assert receiver.messages == []

    asyncio.run(scenario())


def said(platform: Platform, app: App) -> list[str]:
    return [line.text for _, line in platform.logs.recent(app.id, 100) if line.dyno == "logplex"]


def test_a_receiver_that_is_down_gets_everything_when_it_is_back(
    platform: Platform, app: App, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "SILENCE", 0.5)

    async def scenario() -> None:
        receiver = Receiver()
        async with receiver.listen(tls, web=True):
            add(platform, app, f"https://localhost:{receiver.port}/")
            async with draining(platform):
                write(platform, app, "before")
                await eventually(lambda: receiver.texts() == ["before"])
                receiver.status = 503
                write(platform, app, *map(str, range(500)))
                await eventually(lambda: any("cannot deliver" in text for text in said(platform, app)))
        assert "answers 503" in said(platform, app)[0]
        receiver.status = 204
        # A new daemon goes on where the last one was killed.
        async with receiver.listen(tls, web=True), draining(platform):
            await eventually(lambda: "499" in receiver.texts())
        texts = receiver.texts()
        numbers = [text for text in texts if text.isdecimal()]
        assert numbers == [str(number) for number in range(500)]
        frames = [head["logplex-frame-id"] for head in receiver.heads[1:3]]
        assert len(set(frames)) == 1  # sent again under the same id

    asyncio.run(scenario())


def test_what_the_receiver_refuses_is_dropped_in_the_end(
    platform: Platform, app: App, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "REFUSALS", 2)

    async def scenario() -> None:
        async with Receiver().listen(tls, web=True) as receiver, draining(platform):
            receiver.status = 413
            add(platform, app, f"https://localhost:{receiver.port}/")
            write(platform, app, "too much")
            await eventually(lambda: any("dropped 1 lines" in text for text in said(platform, app)))
            receiver.status = 204
            write(platform, app, "fine")
            await eventually(lambda: "fine" in receiver.texts())
            assert "too much" not in receiver.texts()

    asyncio.run(scenario())


def test_what_left_the_log_unsent_is_told(platform: Platform, app: App, tls: ssl.SSLContext) -> None:
    platform.logs = FileLogs(platform.settings.state_dir / "small", 100)

    async def scenario() -> None:
        write(platform, app, "first")
        [(position, _)] = platform.logs.recent(app.id, 1)
        for number in range(1000):
            write(platform, app, f"{number} {'x' * 200}")
        async with Receiver().listen(tls, web=True) as receiver, draining(platform):
            drain = add(platform, app, f"https://localhost:{receiver.port}/")
            drains.remove_drain(platform.db, app, drain.id)
            drains.add_drain(platform.db, app, drain.url, private=True, position=position)
            await eventually(lambda: any(text.startswith("999 ") for text in receiver.texts()))
            assert receiver.texts()[0].startswith("Error L10 ")
            assert " heroku logplex - Error L10" in receiver.messages[0]

    asyncio.run(scenario())


def test_a_stranger_cannot_look_into_this_machines_network(platform: Platform, app: App, tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with Receiver().listen(tls, web=True) as receiver, draining(platform):
            url = f"https://localhost:{receiver.port}/"
            drains.add_drain(platform.db, app, url, private=False, position="")
            write(platform, app, "one")
            await asyncio.sleep(0.5)
            assert receiver.heads == []

    asyncio.run(scenario())


def test_a_destroyed_apps_drains_end(platform: Platform, app: App, tls: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with Receiver().listen(tls, web=True) as receiver, draining(platform) as loop:
            add(platform, app, f"https://localhost:{receiver.port}/")
            await eventually(lambda: len(loop._tasks) == 1)
            apps.destroy_app(platform.db, app)
            await eventually(lambda: not loop._tasks)

    asyncio.run(scenario())


def test_limits_and_names(platform: Platform, app: App) -> None:
    first = add(platform, app, "https://one.example.com/")
    with pytest.raises(InvalidParams, match="already been taken"):
        add(platform, app, "https://one.example.com/")
    with pytest.raises(InvalidParams, match="Url is invalid"):
        add(platform, app, "one.example.com")
    for number in range(MOST - 1):
        add(platform, app, f"syslog://{number}.example.com")
    with pytest.raises(InvalidParams, match=f"{MOST} log drains"):
        add(platform, app, "https://two.example.com/")
    for identity in (first.id, first.token, first.url):
        assert drains.find_drain(platform.db, app, identity).id == first.id
    with pytest.raises(NotFound):
        drains.find_drain(platform.db, app, "https://other.example.com/")
