"""Connections to dynos are used again, and end before a dyno ends them; what is sent into a dead one is not lost."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from edge_installation import Edge, wait_until

from pogo.router import Backend, Routes, Server

HOST = "app.localhost"
ASKED = 100
# Who hangs up on an idle connection first: of the usual servers Node and uvicorn, after 5 s.
SHORTEST_PATIENCE = 5


class Dyno(ThreadingHTTPServer):
    """Python's own web server. It says so, as a traceback, when a connection ends with a reset.

    patience: seconds after which it hangs up on an idle connection.
    """

    request_queue_size = 100

    def __init__(self, version: str, patience: float | None = None) -> None:
        dyno = self
        self.connections = self.ended = self.resets = 0
        self.seen: Counter[str] = Counter()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = version
            timeout = patience

            def setup(self) -> None:
                dyno.connections += 1
                super().setup()

            def finish(self) -> None:
                dyno.ended += 1
                super().finish()

            def do_GET(self) -> None:
                dyno.seen[self.path] += 1
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.wfile.write(f"{version} 200 OK\r\nContent-Length: 2\r\n\r\nok".encode())

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        self.resets += 1

    def close(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    edge = Edge()
    try:
        edge.start()
        yield edge
    finally:
        edge.close()


def serve(edge: Edge, dyno: Dyno) -> None:
    server = Server(f"dyno-{dyno.server_port}", "127.0.0.1", dyno.server_port)
    edge.run(edge.router.apply(Routes({HOST: 1}, {1: Backend(1, (server,))})))


def ask(edge: Edge, method: str, *, keep: bool, pause: float = 0.0) -> Counter[str]:
    """So many requests, each to a path of its own → how often each answer came."""
    found: Counter[str] = Counter()
    client = http.client.HTTPConnection("127.0.0.1", edge.settings.http_port, timeout=20)
    for number in range(ASKED):
        try:
            client.request(method, f"/{number}", headers={"Host": HOST})
            answer = client.getresponse()
            answer.read()
            found[str(answer.status)] += 1
        except (http.client.HTTPException, ConnectionError):
            found["closed"] += 1
            client.close()
        if not keep:
            client.close()
        time.sleep(pause)
    client.close()
    return found


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_new_clients_mean_no_new_connections_to_the_dyno(edge: Edge, version: str) -> None:
    dyno = Dyno(version)
    try:
        serve(edge, dyno)
        assert ask(edge, "GET", keep=False) == {"200": ASKED}
        assert dyno.connections < ASKED / 4 or version == "HTTP/1.0"
        assert dyno.resets < ASKED / 4
    finally:
        dyno.close()


def test_an_idle_connection_ends_before_a_dyno_would_end_it(edge: Edge) -> None:
    dyno = Dyno("HTTP/1.1")
    try:
        serve(edge, dyno)
        ask(edge, "GET", keep=False)
        wait_until(lambda: dyno.ended == dyno.connections, "an idle connection stays", SHORTEST_PATIENCE)
    finally:
        dyno.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_dyno_hangs_up_just_when_the_next_request_comes(edge: Edge, method: str) -> None:
    """As bad as can be: each request comes when the dyno's patience ends."""
    dyno = Dyno("HTTP/1.1", patience=0.02)
    try:
        serve(edge, dyno)
        found = ask(edge, method, keep=True, pause=0.02)
        if method == "GET":
            assert found == {"200": ASKED}
            assert len(dyno.seen) == ASKED
        else:
            assert set(dyno.seen.values()) == {1}
    finally:
        dyno.close()
