"""A new HAProxy takes over from the one that runs: nothing is cut, what waits is answered, kills cost seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from edge_installation import Edge, WebSocket, fetch, request, wait_until

from pogo.errors import Unavailable
from pogo.install import takeover
from pogo.install.runit import Runit
from pogo.install.supervision import Service
from pogo.router import Backend, Routes, Server, config
from pogo.router.config import command, write
from pogo.router.haproxy import _old_workers
from pogo.router.log_receiver import RouterLog

HOST = "shop.localhost"
SIZE = 4_000_000


class Supervised(Edge):
    """HAProxy under runit as bin/up starts it, with a loop that brings the routes as pogod does: on its connection."""

    def __init__(self) -> None:
        super().__init__()
        (self.directory / "log").mkdir()
        self.runit = Runit(self.directory)
        self.routes = Routes()
        self.starts = asyncio.Event()
        self.log = RouterLog(self.paths.log_socket, self.records.extend, self.starts.set)
        self.converging = self.later(self._converge())

    async def _converge(self) -> None:
        while True:
            try:
                async with asyncio.timeout(0.5):
                    await self.starts.wait()
            except TimeoutError:
                pass  # a turn without a hint
            self.starts.clear()
            try:
                await self.router.apply(self.routes)
            except Unavailable:
                await asyncio.sleep(0.05)

    def start_haproxy(self) -> None:
        self.runit.install([Service("router", command(self.settings), "root", {}, "")])
        self.runit.start("router")
        wait_until(self._answers, "HAProxy does not start")

    def take_over(self, **changed: int) -> None:
        """As bin/up does it after a change."""
        self.settings = self.settings.model_copy(update=changed)
        assert write(self.settings)
        takeover.take_over(self.settings, self.runit)

    def master(self, command: str) -> str:
        return self.run(self.router._ask_master(command))

    def close(self) -> None:
        self.converging.cancel()
        self.runit.remove()
        super().close()


@pytest.fixture(scope="module")
def edge() -> Iterator[Supervised]:
    edge = Supervised()
    try:
        edge.start()
        web = edge.web().server
        edge.routes = Routes({HOST: 1}, {1: Backend(1, (web,))})
        wait_until(lambda: edge.get(HOST).status == 200, "no routes")
        yield edge
    finally:
        edge.close()


class Slow:
    """A dyno that takes an upload and gives a download as slowly as the test lets it go on."""

    def __init__(self, edge: Edge) -> None:
        self.go_on = asyncio.Event()
        self.taken = 0
        self._edge = edge
        listener = edge.run(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24))
        self.server = Server("slow", "127.0.0.1", listener.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST"):
            while self.taken < SIZE:
                self.taken += len(await reader.read(65536))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + b"x" * (SIZE // 2))
            await self.go_on.wait()
            writer.write(b"x" * (SIZE // 2))
        await writer.drain()
        writer.close()

    def start(self) -> None:
        """The second half of what was begun."""
        self._edge._loop.call_soon_threadsafe(self.go_on.set)


class Clients:
    """Requests without a pause: on kept connections that begin anew when told to (`Connection: close`), and on new."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._stop = threading.Event()
        self.answers = 0
        self.failures: list[str] = []

    def __enter__(self) -> Clients:
        self._tasks = [self._edge.later(self._client(kept=index < 4)) for index in range(6)]
        self.some()
        return self

    def some(self) -> None:
        seen = self.answers
        wait_until(lambda: self.answers > seen + 50 or bool(self.failures), "the load stands still")

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for task in self._tasks:
            task.result(30)

    async def _client(self, *, kept: bool) -> None:
        while not self._stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._edge.settings.http_port)
                try:
                    while not self._stop.is_set():
                        answer = await request(reader, writer, HOST)
                        if answer.status != 200:
                            self.failures.append(f"{answer.status}")
                        self.answers += 1
                        if not kept or answer.headers.get("connection") == "close":
                            break
                        await asyncio.sleep(0.001)
                finally:
                    writer.close()
            except (OSError, EOFError, TimeoutError) as error:
                self.failures.append(repr(error))


def test_a_takeover_under_load_loses_nothing(edge: Supervised) -> None:
    slow, before = Slow(edge), takeover.running(edge.settings)
    edge.routes = Routes(
        {**edge.routes.hosts, "slow.localhost": 2}, {**edge.routes.backends, 2: Backend(2, (slow.server,))}
    )
    edge.run(edge.router.apply(edge.routes))
    port = edge.settings.http_port
    socket_ = edge.run(WebSocket.open(port, HOST))
    download = edge.later(fetch(port, "slow.localhost"))
    upload = socket.create_connection(("127.0.0.1", port), timeout=10)
    upload.sendall(b"POST / HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: %d\r\n\r\n" % SIZE + b"x" * (SIZE // 2))
    wait_until(lambda: slow.taken == SIZE // 2, "the upload does not start")
    with Clients(edge) as clients:
        for step in range(3):  # new configurations; the program is started anew with each
            edge.take_over(max_apps=30 + step)
            clients.some()
            assert edge.run(socket_.echo(b"still here")) == b"still here"
        slow.start()
        upload.sendall(b"x" * (SIZE // 2))
        assert upload.recv(100).startswith(b"HTTP/1.1 200")
        assert len(download.result(10).body) == SIZE
    assert clients.failures == []
    assert takeover.running(edge.settings) == config.configuration(edge.settings) != before
    assert edge.run(socket_.echo(b"still here")) == b"still here"
    upload.close()
    wait_until(lambda: len(_old_workers(edge.master("show proc"))) == 1, "only the worker of the WebSocket stays")
    # What it holds counts as busy, also for the router of a new pogod.
    drained = Routes({HOST: 1}, {1: Backend(1, (), edge.routes.backends[1].servers)})
    assert edge.run(edge.router.apply(drained)).busy == {edge.routes.backends[1].servers[0].name}
    edge.run(socket_.close())
    wait_until(lambda: not edge.run(edge.router.apply(drained)).busy, "still busy")
    wait_until(lambda: not _old_workers(edge.master("show proc")), "the old worker does not end")
    edge.run(edge.router.apply(edge.routes))


def test_a_configuration_that_does_not_load_leaves_the_old_one_at_work(
    edge: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "SECONDS", 1)
    good = edge.paths.config.read_text()
    edge.paths.config.write_text(good.replace("maxconn 8000", "maxconn many").replace("POGO_CONFIGURATION", "X"))
    monkeypatch.setattr(config, "configuration", lambda _: "another")
    with Clients(edge) as clients:
        with pytest.raises(Unavailable, match="the old one runs on"):
            takeover.take_over(edge.settings, edge.runit)
        clients.some()
    assert clients.failures == []
    monkeypatch.undo()
    edge.paths.config.write_text(good)
    takeover.take_over(edge.settings, edge.runit)
    assert not takeover.needed(edge.settings)


def test_kill_9_in_and_after_a_takeover_costs_seconds(edge: Supervised) -> None:
    for pause in (0, 0.02, 0.1, 0.4):
        assert write(edge.settings.model_copy(update={"max_apps": 50 + int(pause * 100)}))
        master = edge.runit.pid("router") or 0
        os.kill(master, signal.SIGUSR2)
        time.sleep(pause)
        os.kill(master, signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda old=master: edge.runit.pid("router") not in (None, old), "runit does not start it")  # type: ignore[misc]
        wait_until(lambda: _status(edge) == 200, "the routes are not back")
        assert time.monotonic() - began < 10
        assert edge.runit.pid("router") != master
    worker = takeover_pid(edge)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: _status(edge) == 200 and takeover_pid(edge) != worker, "the routes are not back")


def _status(edge: Edge) -> int:
    try:
        return edge.get(HOST).status
    except (OSError, EOFError, TimeoutError):
        return 0


def takeover_pid(edge: Supervised) -> int:
    """The worker that takes requests now; 0 while none does."""
    try:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(edge.settings.router_socket))
            admin.sendall(b"show info\n")
            text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        return int(text.partition("\nPid: ")[2].split()[0])
    except OSError:
        return 0
