"""The contract of `router.Router`, kept by the in-memory double and by a real HAProxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from edge_installation import Edge, WebSocket, running_edge, wait_until

from pogo.errors import InvalidParams, Unavailable
from pogo.router import Applied, Backend, Routes, Server
from pogo.router.config import Files
from pogo.router.haproxy import HaproxyRouter
from pogo.router.memory import MemoryRouter
from pogo.rules.router_log import code

HOST = "shop.localhost"


class Subject(Protocol):
    a: Server
    b: Server

    def apply(self, routes: Routes) -> Applied: ...
    def answer(self, host: str) -> str: ...
    def begin(self, host: str) -> str: ...
    def finish(self, name: str) -> None: ...
    def stop(self, server: Server) -> None: ...


class InMemory:
    def __init__(self, edge: Edge) -> None:
        self.a, self.b = Server("a", "127.0.0.1", 1), Server("b", "127.0.0.1", 2)
        self._edge = edge
        self._router = MemoryRouter()

    def apply(self, routes: Routes) -> Applied:
        return self._edge.run(self._router.apply(routes))

    def answer(self, host: str) -> str:
        return self._router.answer(host)

    def begin(self, host: str) -> str:
        name = self._router.answer(host)
        self._router.begin(name)
        return name

    def finish(self, name: str) -> None:
        self._router.finish(name)

    def stop(self, server: Server) -> None:
        pass


class OnHaproxy:
    def __init__(self, edge: Edge) -> None:
        self.a, self.b = edge.web("a").server, edge.web("b").server
        self._edge = edge
        self._open: dict[str, WebSocket] = {}

    def apply(self, routes: Routes) -> Applied:
        return self._edge.run(self._edge.router.apply(routes))

    def answer(self, host: str) -> str:
        if self._edge.get(host).status == 404:
            return "404"
        record = self._edge.record_of(host)
        return code(record) or record.server

    def begin(self, host: str) -> str:
        name = self.answer(host)
        self._open[name] = self._edge.run(WebSocket.open(self._edge.settings.http_port, host))
        return name

    def finish(self, name: str) -> None:
        self._edge.run(self._open.pop(name).close())
        wait_until(lambda: self._edge.records[-1].status == 101, "the WebSocket's end is not logged")

    def stop(self, server: Server) -> None:
        self._edge.stop(server)
        time.sleep(0.1)


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_edge(BOOT_WAIT=1) as edge:
        yield edge


@pytest.fixture(params=[InMemory, OnHaproxy])
def subject(request: pytest.FixtureRequest, edge: Edge) -> Subject:
    edge.run(edge.router.apply(Routes()))
    made: Subject = request.param(edge)
    return made


def shop(*servers: Server, draining: tuple[Server, ...] = ()) -> Routes:
    return Routes({HOST: 1}, {1: Backend(1, servers, draining)})


def test_a_host_leads_to_its_apps_server(subject: Subject) -> None:
    assert subject.apply(shop(subject.a)).changes > 0
    assert subject.answer(HOST) == subject.a.name
    assert subject.answer("SHOP.localhost.") == subject.a.name
    assert subject.answer("other.localhost") == "404"


def test_the_same_again_changes_nothing(subject: Subject) -> None:
    routes = Routes({HOST: 1, "x.example.com": 2}, {1: Backend(1, (subject.a,)), 2: Backend(2, refusal="H14")})
    subject.apply(routes)
    assert subject.apply(routes) == Applied(0, frozenset())


@pytest.mark.parametrize("refusal", ["H10", "H14", "H20", "H80", "H99"])
def test_a_refusal_stands_before_the_servers(subject: Subject, refusal: str) -> None:
    subject.apply(Routes({HOST: 1}, {1: Backend(1, (subject.a,), refusal=refusal)}))  # type: ignore[arg-type]
    assert subject.answer(HOST) == refusal
    subject.apply(shop(subject.a))
    assert subject.answer(HOST) == subject.a.name


def test_hosts_move_and_go(subject: Subject) -> None:
    backends = {1: Backend(1, (subject.a,)), 2: Backend(2, (subject.b,))}
    subject.apply(Routes({HOST: 1, "b.localhost": 2}, backends))
    subject.apply(Routes({HOST: 2}, backends))
    assert subject.answer(HOST) == subject.b.name
    assert subject.answer("b.localhost") == "404"


def test_a_slot_can_be_given_to_another_app(subject: Subject) -> None:
    subject.apply(shop(subject.a))
    subject.apply(Routes({"new.localhost": 1}, {1: Backend(1, (subject.b,))}))
    assert subject.answer("new.localhost") == subject.b.name
    assert subject.answer(HOST) == "404"


def test_an_app_whose_servers_are_all_gone_is_a_platform_error(subject: Subject) -> None:
    subject.apply(shop(subject.a))
    subject.apply(shop())
    assert subject.answer(HOST) == "H99"


def test_a_draining_server_is_busy_until_it_has_finished(subject: Subject) -> None:
    subject.apply(shop(subject.a))
    assert subject.begin(HOST) == subject.a.name
    assert subject.apply(shop(subject.b, draining=(subject.a,))).busy == {subject.a.name}
    assert {subject.answer(HOST) for _ in range(5)} == {subject.b.name}
    subject.finish(subject.a.name)
    assert subject.apply(shop(subject.b, draining=(subject.a,))) == Applied(0, frozenset())
    subject.stop(subject.a)
    subject.apply(shop(subject.b))
    assert subject.apply(shop(subject.b)).changes == 0


def test_a_draining_server_can_come_back(subject: Subject) -> None:
    subject.apply(shop(subject.a))
    subject.apply(shop(subject.b, draining=(subject.a,)))
    subject.apply(shop(subject.a, draining=(subject.b,)))
    assert subject.answer(HOST) == subject.a.name


def test_a_server_that_never_served_is_not_added_to_drain(subject: Subject) -> None:
    subject.apply(shop(subject.a))
    assert subject.apply(shop(subject.a, draining=(subject.b,))) == Applied(0, frozenset())


def test_a_busy_server_that_is_taken_away_is_cut_off(subject: Subject) -> None:
    subject.apply(shop(subject.a, subject.b))
    subject.begin(HOST)
    subject.apply(Routes({HOST: 1}, {1: Backend(1, refusal="H14")}))
    subject.apply(Routes({HOST: 1}, {1: Backend(1, refusal="H14")}))
    assert subject.apply(Routes({HOST: 1}, {1: Backend(1, refusal="H14")})).changes == 0
    assert subject.answer(HOST) == "H14"


def test_a_router_that_is_not_there(edge: Edge, tmp_path: Path) -> None:
    absent = HaproxyRouter(tmp_path / "none.sock", Files.of(edge.settings))
    double = MemoryRouter()
    double.down = True
    for router in (absent, double):
        with pytest.raises(Unavailable, match="cannot reach the router"):
            edge.run(router.apply(Routes()))


@pytest.mark.parametrize("host", ["a b", "a;show info", "a\nshutdown", "", "UPPER.localhost"])
def test_a_host_that_is_none_is_refused(edge: Edge, host: str) -> None:
    with pytest.raises(InvalidParams, match="cannot route host"):
        edge.run(edge.router.apply(Routes({host: 1})))


def test_a_slot_that_is_not_configured_is_refused_and_the_rest_is_done(edge: Edge) -> None:
    server = edge.web().server
    routes = Routes({HOST: 1}, {1: Backend(1, (server,)), 999: Backend(999, (server,))})
    with pytest.raises(Unavailable, match="the router refused"):
        edge.run(edge.router.apply(routes))
    assert edge.get(HOST).body == server.name.encode()
