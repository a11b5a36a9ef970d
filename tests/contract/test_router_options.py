"""What an app may have otherwise at the router: the queue, retries, affinity, who is let in, pages of its own."""

from __future__ import annotations

import socket
import subprocess
import uuid

import pytest
from edge_installation import Edge, fetch, wait_until
from router_dyno import Dyno, Raw, start
from router_rig import HOST, ask, dyno, edge, head, release, serve

from pogo.router import Backend, Options, Routes
from pogo.router.options import digest
from pogo.rules.router_log import heroku_line

__all__ = ["dyno", "edge"]  # fixtures


def test_requests_in_flight_and_the_queue(edge: Edge, dyno: Dyno) -> None:
    """Two at a time, three wait, the sixth is refused at once."""
    serve(edge, dyno, options=Options(in_flight=2, queue=3))
    waiting = [Raw(edge.settings.http_port, head("/hold", "Connection: close")) for _ in range(5)]
    wait_until(lambda: queued(edge) == 3, "they do not queue")
    answer, found = ask(edge, "/hold")
    assert (answer[:12], found) == ("HTTP/1.1 503", "H11")
    record = edge.records[-1]
    assert " dyno= connect= service= status=503 bytes= " in heroku_line(record, "")
    edge.later(release(dyno)).result(5)
    for raw in waiting:
        assert raw.rest().startswith("HTTP/1.1 200")
        raw.close()
    assert dyno.most == 2
    serve(edge, dyno, options=Options(in_flight=4))  # takes effect on a dyno that is there
    dyno.release.clear()
    waiting = [Raw(edge.settings.http_port, head("/hold", "Connection: close")) for _ in range(5)]
    wait_until(lambda: dyno.now == 4 and queued(edge) == 1, "the new bound does not hold")
    edge.later(release(dyno)).result(5)
    for raw in waiting:
        assert raw.rest().startswith("HTTP/1.1 200")
        raw.close()


def queued(edge: Edge) -> int:
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(str(edge.settings.router_socket))
        admin.sendall(b"show stat app0001 2 -1\n")
        row = b"".join(iter(lambda: admin.recv(65536), b"")).decode().splitlines()[1]
    return int(row.split(",")[2])


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
