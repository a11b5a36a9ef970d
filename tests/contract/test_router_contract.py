"""What an HTTP app sees behind the router, and how each request that fails is told: one code, as on Heroku."""

from __future__ import annotations

import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_installation import Edge, WebSocket, fetch, running_edge, wait_until
from router_dyno import Dyno, Raw, start, talk

from pogo.router import Backend, Options, Routes, Server
from pogo.router.options import digest
from pogo.rules.router_log import code, heroku_line

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


def test_bodies_stream_both_ways_with_trailers(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    raw = Raw(edge.settings.http_port, head("/echo", "Transfer-Encoding: chunked", "Trailer: X-Last", method="POST"))
    for word in ("first", "second"):
        raw.send(f"{len(word):x}\r\n{word}\r\n")
        assert word in raw.until(f"{word}\r\n"), "it comes back before more is sent"
    raw.send("0\r\nX-Last: over\r\n\r\n")
    answer = raw.until("X-Sum: 42\r\n\r\n".lower())
    assert "x-last: over" in answer.lower()
    raw.close()


def test_a_client_may_ask_before_it_sends(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    raw = Raw(edge.settings.http_port, head("/echo", "Content-Length: 5", "Expect: 100-continue", method="POST"))
    raw.until("HTTP/1.1 100 Continue\r\n\r\n")
    raw.send("hello")
    assert "hello" in raw.until("0\r\n")
    raw.close()


def test_connections_to_dynos_are_kept(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    raw = Raw(edge.settings.http_port)
    for _ in range(5):
        raw.send(head("/"))
        raw.until(dyno.server.name)
    raw.close()
    assert dyno.connections == 1


def test_http_2(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=SHORT)
    base = f"https://{HOST}:{edge.settings.https_port}"
    command = ("curl", "-sSk", "--http2", "--resolve", f"{HOST}:{edge.settings.https_port}:127.0.0.1", "--raw")
    sent = ("-d", "hello", "-w", "%{http_version} %{http_code}", f"{base}/echo")
    done = subprocess.run((*command, *sent), capture_output=True, text=True, check=True)
    assert done.stdout == "hello2 200"
    assert "\r\nvia: 2.0 pogo\r\n" in dyno.heads[-1].lower()
    assert "\r\nx-forwarded-proto: https\r\n" in dyno.heads[-1].lower()
    request_id = str(uuid.uuid4())
    silent = (*command, "-w", "%{http_code}", "-H", f"X-Request-Id: {request_id}", f"{base}/silent")
    done = subprocess.run(silent, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("503"), done
    assert (failure(edge, request_id), edge.record(request_id).http_version) == ("H12", "HTTP/2.0")


def test_a_large_upload_takes_no_memory(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    before, size, piece = resident(edge), 256 << 20, b"x" * (1 << 20)
    raw = Raw(edge.settings.http_port, head("/count", f"Content-Length: {size}", method="POST"))
    for _ in range(size >> 20):
        raw.socket.sendall(piece)
    assert raw.until(str(size))
    raw.close()
    assert resident(edge) - before < 8 << 20


def resident(edge: Edge) -> int:
    """Bytes of HAProxy's memory, master and worker."""
    assert edge.process is not None
    master = edge.process.pid
    workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [master, *workers])
    return sum(pages) * 4096


def test_what_the_connection_header_names_goes_no_further(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    fields = (
        "Connection: close, X-Private, X-Forwarded-For, Host",
        "X-Private: 1",
        "Keep-Alive: timeout=9",
        "TE: gzip",
    )
    answer = talk(edge.settings.http_port, head("/", *fields, "X-Public: 2"))
    assert answer.startswith("HTTP/1.1 200")
    got = dyno.heads[-1].lower()
    assert "x-private" not in got
    assert "keep-alive" not in got
    assert "\r\nx-public: 2\r\n" in got
    assert "\r\nx-forwarded-for: 127.0.0.1\r\n" in got, "what the router adds cannot be taken away"
    assert f"\r\nhost: {HOST}\r\n" in got


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
    edge.later(_release(dyno)).result(5)
    assert raw.until(dyno.server.name)
    raw.close()


async def _release(dyno: Dyno) -> None:
    dyno.release.set()


def test_requests_in_flight_and_the_queue(edge: Edge, dyno: Dyno) -> None:
    """Two at a time, three wait, the sixth is refused at once."""
    serve(edge, dyno, options=Options(in_flight=2, queue=3))
    waiting = [Raw(edge.settings.http_port, head("/hold", "Connection: close")) for _ in range(5)]
    wait_until(lambda: queued(edge) == 3, "they do not queue")
    answer, found = ask(edge, "/hold")
    assert (answer[:12], found) == ("HTTP/1.1 503", "H11")
    record = edge.records[-1]
    assert " dyno= connect= service= status=503 bytes= " in heroku_line(record, "")
    edge.later(_release(dyno)).result(5)
    for raw in waiting:
        assert raw.rest().startswith("HTTP/1.1 200")
        raw.close()
    assert dyno.most == 2
    serve(edge, dyno, options=Options(in_flight=4))  # takes effect on a dyno that is there
    dyno.release.clear()
    waiting = [Raw(edge.settings.http_port, head("/hold", "Connection: close")) for _ in range(5)]
    wait_until(lambda: dyno.now == 4 and queued(edge) == 1, "the new bound does not hold")
    edge.later(_release(dyno)).result(5)
    for raw in waiting:
        assert raw.rest().startswith("HTTP/1.1 200")
        raw.close()


def queued(edge: Edge) -> int:
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(edge.settings.router_socket))
        admin.sendall(b"show stat app0001 2 -1\n")
        row = b"".join(iter(lambda: admin.recv(65536), b"")).decode().splitlines()[1]
    return int(row.split(",")[2])


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


@pytest.mark.parametrize(("method", "again"), [("GET", False), ("GET", True), ("POST", False), ("POST", True)])
def test_only_what_is_idempotent_is_tried_again_and_only_where_the_app_wants_it(
    edge: Edge, dyno: Dyno, method: str, again: bool
) -> None:
    """One of two dynos hangs up on every request."""
    broken = edge.web("broken")
    servers = (broken.server, dyno.server)
    options = Options(retry_idempotent=again, idle=54)
    edge.run(edge.router.apply(Routes({HOST: 1}, {1: Backend(1, servers, options=options)})))
    seen = [ask(edge, "/close", method=method) for _ in range(6)]
    if method == "GET" and again:
        assert {(answer[9:12], found) for answer, found in seen} == {("200", "")}
    else:
        assert {(answer[9:12], found) for answer, found in seen} == {("200", ""), ("503", "H13")}
        assert broken.requests + len(dyno.heads) == 6


def test_a_dynos_own_502_is_let_through(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    answer, found = ask(edge, "/own-502")
    assert (answer[:12], answer.endswith(dyno.server.name), found) == ("HTTP/1.1 502", True, "")


def test_a_client_comes_back_to_its_dyno(edge: Edge) -> None:
    dynos = [start(edge, f"web-{uuid.uuid4().hex[:8]}") for _ in range(3)]
    serve(edge, *dynos, options=Options(affinity=True))
    first = edge.get(HOST)
    cookie = first.headers["set-cookie"].split(";")[0]
    assert "; max-age=86400; path=/; httponly" in first.headers["set-cookie"]
    assert cookie.startswith("heroku-session-affinity=")
    assert first.body.decode() not in cookie, "the cookie does not tell the container's name"
    cookie = cookie.replace(cookie.split("=")[1], cookie.split("=")[1].upper())  # the test's client lowers it
    again = [edge.get(HOST, headers={"Cookie": f"a=b; {cookie}"}) for _ in range(6)]
    assert {answer.body for answer in again} == {first.body}
    assert not any("set-cookie" in answer.headers for answer in again)
    left = [dyno for dyno in dynos if dyno.server.name.encode() != first.body]
    serve(edge, *left, options=Options(affinity=True))
    moved = edge.get(HOST, headers={"Cookie": cookie})
    assert moved.body != first.body
    assert "set-cookie" in moved.headers
    serve(edge, *left)
    assert "set-cookie" not in edge.get(HOST).headers


def test_ranges_of_addresses(edge: Edge, dyno: Dyno) -> None:
    for options, expected in (
        (Options(deny=("127.0.0.0/8",)), "P10"),
        (Options(deny=("127.0.0.0/8",), allow=("127.0.0.1/32",)), ""),
        (Options(allow=("10.0.0.0/8",)), "P10"),
        (Options(allow=("0.0.0.0/0",), deny=("127.0.0.2/31",)), ""),
        (Options(deny=("2001:db8::/32", "10.0.0.0/8")), ""),
    ):
        serve(edge, dyno, options=options)
        answer, found = ask(edge, "/")
        assert (answer[9:12], found) == (("403", "P10") if expected else ("200", "")), options
    line = heroku_line(edge.record_of(HOST), "web.1")
    assert line.startswith("at=info method=GET")


def test_requests_a_second_of_one_client(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=Options(rate=1))
    seen = [ask(edge, "/")]
    while len(seen) < 50 and not seen[-1][1]:
        seen.append(ask(edge, "/"))
    assert seen[0][0].startswith("HTTP/1.1 200")
    assert {(answer[9:12], found) for answer, found in seen} == {("200", ""), ("429", "P11")}
    refused = next(answer for answer, found in seen if found)
    assert "retry-after: 1" in refused.lower()
    # Who goes on asking is let through as often as the bound says.
    wait_until(lambda: edge.get(HOST).status == 200, "it does not end")


def test_a_password(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=Options(password=digest("ann", "pass:word")))
    answer, found = ask(edge, "/")
    assert (answer[9:12], found) == ("401", "P12")
    assert f'www-authenticate: Basic realm="{HOST}"' in answer
    for pair, status in (("YW5uOnBhc3M6d29yZA==", "200"), ("YW5uOndyb25n", "401"), ("!", "401")):
        assert ask(edge, "/", f"Authorization: Basic {pair}")[0][9:12] == status, pair


def test_https_only(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno, options=Options(https_only=True, hsts=600))
    port = edge.settings.https_port
    answer, found = ask(edge, "/a?b=c")
    assert (answer[9:12], found) == ("301", "")
    assert f"location: https://{HOST}:{port}/a?b=c\r\n" in answer.lower()
    assert ask(edge, "/a", method="POST")[0][9:12] == "308"
    command = ("curl", "-sSkD-", "--resolve", f"{HOST}:{port}:127.0.0.1", f"https://{HOST}:{port}/")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "strict-transport-security: max-age=600" in done.stdout.lower()


def test_pages_of_the_apps_own(edge: Edge, dyno: Dyno) -> None:
    own = Options(
        first_byte=1, error_page='https://example.com/e?a=1;"><script>', maintenance_page="https://example.com/m"
    )
    serve(edge, dyno, options=own)
    answer, found = ask(edge, "/silent")
    assert (answer[9:12], found) == ("503", "H12")
    assert '<iframe src="https://example.com/e?a=1%3B%22%3E%3Cscript%3E"></iframe>' in answer
    for refusal, url in (("H80", "m"), ("H10", "e?a=1%3B%22%3E%3Cscript%3E")):
        edge.run(edge.router.apply(Routes({HOST: 1}, {1: Backend(1, refusal=refusal, options=own)})))  # type: ignore[arg-type]
        answer, found = ask(edge, "/")
        assert found == refusal
        assert f'<iframe src="https://example.com/{url}"></iframe>' in answer
    edge.run(edge.router.apply(Routes({HOST: 1}, {1: Backend(1, refusal="H80")})))
    assert "iframe src" not in ask(edge, "/")[0]
    assert edge.run(fetch(edge.settings.http_port, HOST)).status == 503
