"""How each request that takes too long is told: one code, as on Heroku."""

from __future__ import annotations

import socket
import time
import uuid

from edge_installation import Edge, WebSocket
from router_dyno import Dyno, Raw
from router_rig import HOST, SHORT, ask, dyno, edge, failure, head, release, serve

from pogo.router import Options, Server
from pogo.rules.router_log import heroku_line

__all__ = ["dyno", "edge"]  # fixtures


def test_a_websocket_lives_beyond_the_timeouts_of_requests(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=Options(first_byte=1, idle=1, in_flight=1, websocket=60))
    sockets = [edge.run(WebSocket.open(edge.settings.http_port, HOST)) for _ in range(3)]
    time.sleep(3)
    for ws in sockets:
        assert edge.run(ws.echo(b"still here")) == b"still here"
    assert edge.get(HOST).status == 200, "open WebSockets are no requests in flight"
    for ws in sockets:
        edge.run(ws.close())


def test_a_silent_websocket_is_h15(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=SHORT)
    request_id = str(uuid.uuid4())
    fields = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    raw = Raw(edge.settings.http_port, head("/ws", *fields, key, f"X-Request-Id: {request_id}"))
    assert "HTTP/1.1 101" in raw.until("\r\n\r\n")
    assert raw.rest() == ""
    raw.close()
    assert failure(edge, request_id) == "H15"


def test_no_answer_in_time_is_h12(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=SHORT)
    began = time.monotonic()
    answer, found = ask(edge, "/silent")
    assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    assert "Application error" in answer
    assert "pogo-failure" not in answer
    assert found == "H12"
    assert 0.9 < time.monotonic() - began < 10


def test_an_answer_that_stops_is_h15(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=SHORT)
    answer, found = ask(edge, "/stall")
    assert answer.startswith("HTTP/1.1 200")
    assert ("one" in answer, "two" in answer, found) == (True, False, "H15")


def test_an_event_stream_may_be_silent_for_longer(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=SHORT)
    answer, found = ask(edge, "/stall", "Accept: text/event-stream")
    assert ("one" in answer, "two" in answer, found) == (True, True, "H15")


def test_a_client_that_takes_no_more_is_h28(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    request_id = str(uuid.uuid4())
    raw = Raw(edge.settings.http_port, head("/large", f"X-Request-Id: {request_id}"))
    line = heroku_line(edge.record(request_id), "web.1")
    assert line.startswith('at=warning code=H28 desc="Client Connection Idle" method=GET')
    assert " status=499 " in line
    raw.close()


def test_a_client_waits_longer_than_it_may_be_silent_itself(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=Options(first_byte=30))
    raw = Raw(edge.settings.http_port, head("/hold"))
    time.sleep(3)
    edge.later(release(dyno)).result(5)
    assert raw.until(dyno.server.name)
    raw.close()


def test_a_dyno_that_does_not_accept_is_h19(edge: Edge) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        held = []
        for _ in range(4):  # its backlog is full: further connections are not answered
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(full.getsockname())
            held.append(client)
        serve(edge, Dyno(Server("full", *full.getsockname())))
        answer, found = ask(edge, "/")
        assert (answer[:12], found) == ("HTTP/1.1 503", "H19")
        for client in held:
            client.close()
