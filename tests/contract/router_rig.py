"""An edge with short time limits, a dyno behind it, and requests whose code in the log is asked for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from edge_installation import Edge, running_edge
from router_dyno import Dyno, start, talk

from pogo.router import Backend, Options, Routes
from pogo.rules.router_log import code

HOST = "shop.localhost"
SHORT = Options(first_byte=1, idle=3, websocket=1)


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_edge(CLIENT_IDLE=2, CONNECT_TIME=1) as edge:
        yield edge


@pytest.fixture
def dyno(edge: Edge) -> Dyno:
    return start(edge, f"web-{uuid.uuid4().hex[:8]}")


def serve(edge: Edge, *dynos: Dyno, options: Options | None = None) -> None:
    servers = tuple(dyno.server for dyno in dynos)
    edge.run(edge.router.apply(Routes({HOST: 1}, {1: Backend(1, servers, options=options or Options())})))


def head(path: str, *fields: str, method: str = "GET", host: str = HOST) -> str:
    return "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "", ""))


def failure(edge: Edge, request_id: str) -> str:
    """The code of a request, of which there is exactly one record."""
    return code(edge.record(request_id))


def ask(edge: Edge, path: str, *fields: str, method: str = "GET", body: str = "") -> tuple[str, str]:
    """(the whole answer, the code of the request)."""
    request_id = str(uuid.uuid4())
    text = head(path, f"X-Request-Id: {request_id}", "Connection: close", *fields, method=method) + body
    return talk(edge.settings.http_port, text), failure(edge, request_id)


async def release(dyno: Dyno) -> None:
    dyno.release.set()
