"""What the real HAProxy does with the configuration and the driver: nothing lost, nothing left, nothing confused."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import uuid
from collections.abc import Iterator

import pytest
from edge_installation import Edge, WebSocket, fetch, request, running_edge, wait_until

from pogo.router import PLAIN, Backend, Options, Routes, Server
from pogo.router.config import Files, backend_name, websockets_name
from pogo.router.haproxy import HaproxyRouter, parse_map, parse_servers
from pogo.router.plan import Real, RealServer
from pogo.rules.router_log import heroku_line

HOST = "shop.localhost"
TUNED = (
    PLAIN,
    Options(in_flight=3, affinity=True),
    Options(allow=("10.0.0.0/8", "2001:db8::/32"), rate=5),
    Options(error_page="https://example.com/a?b=c&d=e;f|g", https_only=True, hsts=60),
)


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_edge() as edge:
        yield edge


def shop(*servers: Server, draining: tuple[Server, ...] = ()) -> Routes:
    return Routes({HOST: 1}, {1: Backend(1, servers, draining)})


def real(edge: Edge) -> Real:
    """HAProxy's state, asked for beside the driver's own connection."""

    def ask(command: str) -> str:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(edge.settings.router_socket))
            admin.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode()

    return Real(
        parse_servers(ask("show servers state")),
        parse_map(ask(f"show map {edge.paths.hosts}")),
        parse_map(ask(f"show map {edge.paths.refusals}")),
        parse_map(ask(f"show map {edge.paths.options}")),
        parse_map(ask(f"show map {edge.paths.addresses}")),
        parse_map(ask(f"show map {edge.paths.sticky}")),
    )


class Load:
    """Constant requests, half on connections of their own, half on kept ones."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._stop = False
        self.answers: list[str] = []
        self.failures: list[str] = []

    def __enter__(self) -> Load:
        self._tasks = [self._edge.later(self._client(kept=index % 2 == 0)) for index in range(6)]
        wait_until(lambda: len(self.answers) > 20, "the load does not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        for task in self._tasks:
            task.result(10)

    async def _client(self, *, kept: bool) -> None:
        port = self._edge.settings.http_port
        while not self._stop:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while not self._stop:
                    answer = await request(reader, writer, HOST)
                    (self.answers if answer.status == 200 else self.failures).append(answer.body.decode())
                    await asyncio.sleep(0.001)
                    if not kept:
                        break
            except (OSError, EOFError) as error:
                self.failures.append(repr(error))
            finally:
                writer.close()


def test_twenty_deploys_under_load_lose_nothing(edge: Edge) -> None:
    old = edge.web().server
    edge.run(edge.router.apply(shop(old)))
    with Load(edge) as load:
        for _ in range(20):
            new = edge.web().server
            edge.run(edge.router.apply(shop(old, new)))
            time.sleep(0.02)
            wait_until(lambda o=old, n=new: not edge.run(edge.router.apply(shop(n, draining=(o,)))).busy, "still busy")
            edge.stop(old)
            edge.run(edge.router.apply(shop(new)))
            old = new
        seen = len(load.answers)
        wait_until(lambda: len(load.answers) > seen + 50, "the load stopped")
    assert load.failures == []
    assert set(load.answers[-20:]) == {old.name}
    wait_until(lambda: not edge.run(edge.router.apply(shop(old))).changes, "not settled")
    assert set(real(edge).servers[backend_name(1)]) == {old.name}


def test_a_request_in_flight_survives_draining(edge: Edge) -> None:
    old, new = edge.web().server, edge.web().server
    edge.run(edge.router.apply(shop(old)))
    slow = edge.later(fetch(edge.settings.http_port, HOST, "/slow"))
    time.sleep(0.1)
    assert edge.run(edge.router.apply(shop(new, draining=(old,)))).busy == {old.name}
    assert slow.result(5).body == old.name.encode()
    assert edge.run(edge.router.apply(shop(new, draining=(old,)))).busy == frozenset()


def test_a_websocket_survives_draining_and_deploys_of_others(edge: Edge) -> None:
    old, new, other = edge.web().server, edge.web().server, edge.web().server
    edge.run(edge.router.apply(shop(old)))
    ws = edge.run(WebSocket.open(edge.settings.http_port, HOST))
    for index in range(10):
        others = {slot: Backend(slot, (other,)) for slot in range(2, 3 + index)}
        routes = Routes({HOST: 1}, {1: Backend(1, (new,), (old,)), **others})
        assert edge.run(edge.router.apply(routes)).busy == {old.name}
        assert edge.run(ws.echo(b"still here")) == b"still here"
    # Its grace is over: the dyno is taken out of both lists, and the socket is closed.
    edge.run(edge.router.apply(shop(new)))
    assert edge.run(ws.ended())
    edge.stop(old)
    wait_until(lambda: not edge.run(edge.router.apply(shop(new))).changes, "not settled")
    assert set(real(edge).servers[backend_name(1)]) == {new.name}


def test_kill_9_of_haproxy_and_rebuilding_from_nothing(edge: Edge) -> None:
    a, b = edge.web().server, edge.web().server
    routes = Routes(
        {HOST: 1, "b.localhost": 2, "off.localhost": 3},
        {1: Backend(1, (a,)), 2: Backend(2, (b,)), 3: Backend(3, refusal="H80")},
    )
    edge.run(edge.router.apply(routes))
    edge.kill_haproxy()
    edge.start_haproxy()
    hosts = (HOST, "b.localhost", "off.localhost", "unknown.localhost")
    waiting = [edge.later(fetch(edge.settings.http_port, host)) for host in hosts]
    time.sleep(0.2)
    assert not any(one.done() for one in waiting), "requests wait for the routes"
    edge.run(edge.router.apply(routes))
    answers = [one.result(5) for one in waiting]
    assert [answer.status for answer in answers] == [200, 200, 503, 404]
    assert [answer.body for answer in answers[:2]] == [a.name.encode(), b.name.encode()]
    assert b"maintenance" in answers[2].body
    assert edge.run(edge.router.apply(routes)).changes == 0


def test_the_state_of_a_previous_daemon(edge: Edge) -> None:
    a, b = edge.web().server, edge.web().server
    edge.run(edge.router.apply(Routes({"old.localhost": 5}, {5: Backend(5, (b,)), 6: Backend(6, (a,), refusal="H10")})))
    another = HaproxyRouter(edge.settings.router_socket, Files.of(edge.settings))
    edge.run(another.apply(shop(a)))
    state = real(edge)
    here = {a.name: RealServer(a, "ready")}
    assert state.servers == {backend_name(1): here, websockets_name(1): here}
    assert state.hosts == {HOST: backend_name(1)}
    assert edge.get(HOST).body == a.name.encode()


def test_the_line_of_a_request(edge: Edge) -> None:
    web = edge.web().server
    edge.run(edge.router.apply(shop(web)))
    record = edge.record_of(HOST, "/a?b=c%20d")
    assert re.fullmatch(
        r'at=info method=GET path="/a\?b=c%20d" host=shop\.localhost request_id=[0-9a-f-]{36} fwd="127\.0\.0\.1" '
        r"dyno=web\.1 connect=\dms service=\d+ms status=200 bytes=\d+ protocol=http",
        heroku_line(record, "web.1"),
    )
    assert (record.slot, record.server) == (1, web.name)
    assert abs(record.time / 1e6 - time.time()) < 5


def test_records_wait_while_the_receiver_is_away(edge: Edge) -> None:
    edge.run(edge.router.apply(shop(edge.web().server)))
    edge.run(edge.log.stop())
    wanted = []
    for _ in range(300):
        wanted.append(str(uuid.uuid4()))
        edge.get(HOST, headers={"X-Request-Id": wanted[-1]})
        time.sleep(0.01)
    assert not {record.request_id for record in edge.records} & set(wanted)
    edge.run(edge.log.start())
    wait_until(lambda: edge.records[-1].request_id == wanted[-1], "the last record does not come")
    assert [record.request_id for record in edge.records[-300:]] == wanted
