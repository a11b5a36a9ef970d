"""What clients, dynos and pogod see of the router: pages, codes, headers, TLS, the platform's own hosts."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest
from edge_installation import Edge, fetch, handshake, running_edge

from pogo.router import Backend, Refusal, Routes, Server
from pogo.router.config import render, write
from pogo.rules.router_log import code, heroku_line

HOST = "shop.localhost"


WAIT = 3


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_edge(BOOT_WAIT=WAIT) as edge:
        yield edge


def shop(*servers: Server) -> Routes:
    return Routes({HOST: 1}, {1: Backend(1, servers)})


def test_pages(edge: Edge) -> None:
    routes = Routes(
        {"off.localhost": 1, "down.localhost": 2}, {1: Backend(1, refusal="H80"), 2: Backend(2, refusal="H10")}
    )
    edge.run(edge.router.apply(routes))
    for host, status, text in (
        ("off.localhost", 503, b"Offline for maintenance"),
        ("down.localhost", 503, b"Application error"),
        ("nobody.localhost", 404, b"No such app"),
    ):
        answer = edge.get(host)
        assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert text in answer.body
        assert not re.search(rb"H[0-9]{2}", answer.body), "the code is for the log alone"


def test_the_longest_wildcard_that_covers_a_host_has_it_and_an_exact_name_comes_first(edge: Edge) -> None:
    wild, longer, exact = edge.web().server, edge.web().server, edge.web().server
    hosts = {"*.example.com": 1, "*.b.example.com": 2, "shop.example.com": 3, "xn--bcher-kva.example": 3}
    backends = {1: Backend(1, (wild,)), 2: Backend(2, (longer,)), 3: Backend(3, (exact,))}
    edge.run(edge.router.apply(Routes(hosts, backends)))
    for host, server in (
        ("any.example.com", wild),
        ("b.example.com", wild),
        ("a.b.example.com", longer),
        ("5.4.3.2.1.example.com", wild),
        ("Shop.Example.COM.:8080", exact),
        ("xn--bcher-kva.example", exact),
    ):
        assert edge.get(host).body == server.name.encode(), host
    assert edge.get("example.com").status == 404
    assert edge.get("com").status == 404
    assert edge.get("localhost").status == 503  # the platform's own


@pytest.mark.parametrize(("path", "expected"), [("/close", "H13"), ("/bad", "H17"), ("/half", "H18")])
def test_a_dynos_failure_has_its_code(edge: Edge, path: str, expected: str) -> None:
    web = edge.web().server
    edge.run(edge.router.apply(shop(web)))
    request_id = str(uuid.uuid4())
    answer = edge.later(fetch(edge.settings.http_port, HOST, path, {"X-Request-Id": request_id}))
    if expected == "H18":
        with pytest.raises(asyncio.IncompleteReadError):
            answer.result(5)
    else:
        assert answer.result(5).status == 503
    record = edge.record(request_id)
    assert (code(record), record.server) == (expected, web.name)


def test_a_dead_dyno_is_h21_and_another_one_takes_over(edge: Edge) -> None:
    dead, alive = edge.web().server, edge.web().server
    edge.stop(dead)
    edge.run(edge.router.apply(shop(dead, alive)))
    assert {edge.get(HOST).body for _ in range(8)} == {alive.name.encode()}
    edge.run(edge.router.apply(shop(dead)))
    record = edge.record_of(HOST)
    assert (code(record), record.server) == ("H21", dead.name)


def test_a_client_that_leaves_is_h27(edge: Edge) -> None:
    edge.run(edge.router.apply(shop(edge.web().server)))
    request_id = str(uuid.uuid4())
    client = socket.create_connection(("127.0.0.1", edge.settings.http_port))
    client.sendall(f"GET /slow HTTP/1.1\r\nHost: {HOST}\r\nX-Request-Id: {request_id}\r\n\r\n".encode())
    time.sleep(0.2)
    client.close()
    line = heroku_line(edge.record(request_id), "web.1")
    assert line.startswith('sock=client at=warning code=H27 desc="Client Request Interrupted" method=GET path="/slow"')
    assert "status=499 bytes=0" in line


def test_requests_wait_for_a_starting_dyno(edge: Edge) -> None:
    starting = Routes({HOST: 1}, {1: Backend(1, refusal="H20")})
    edge.run(edge.router.apply(starting))
    web = edge.web().server
    waiting = [edge.later(fetch(edge.settings.http_port, HOST)) for _ in range(20)]
    time.sleep(0.5)
    assert not any(one.done() for one in waiting)
    began = time.monotonic()
    edge.run(edge.router.apply(shop(web)))
    assert {one.result(5).status for one in waiting} == {200}
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(("refusal", "expected"), [("H10", "H10"), ("H80", "H80"), ("H20", "H20")])
def test_who_waits_in_vain_is_told_why(edge: Edge, refusal: Refusal, expected: str) -> None:
    edge.run(edge.router.apply(Routes({HOST: 1}, {1: Backend(1, refusal="H20")})))
    request_id = str(uuid.uuid4())
    waiting = edge.later(fetch(edge.settings.http_port, HOST, "/", {"X-Request-Id": request_id}))
    time.sleep(0.3)
    edge.run(edge.router.apply(Routes({HOST: 1}, {1: Backend(1, refusal=refusal)})))
    assert waiting.result(WAIT + 5).status == 503
    assert code(edge.record(request_id)) == expected


def test_headers_to_the_dyno(edge: Edge) -> None:
    edge.run(edge.router.apply(shop(edge.web().server)))
    before = time.time() * 1000
    sent = {
        "X-Forwarded-For": "9.9.9.9",
        "X-Forwarded-Proto": "gopher",
        "X-Request-Id": "too short",
        "X-Forwarded-Port": "1",
    }
    answer = edge.get(HOST, "/headers?a=b", sent)
    got = dict(line.lower().split(": ", 1) for line in answer.body.decode().split("\r\n")[1:] if line)
    assert answer.body.startswith(b"GET /headers?a=b HTTP/1.1\r\n")
    assert got["x-forwarded-for"] == "9.9.9.9, 127.0.0.1"
    assert got["x-forwarded-proto"] == "http"
    assert got["x-forwarded-port"] == str(edge.settings.http_port)
    assert re.fullmatch(r"[0-9a-f-]{36}", got["x-request-id"])
    assert before - 1000 <= int(got["x-request-start"]) <= before + 5000
    assert got["via"] == answer.headers["via"] == "1.1 pogo"
    kept = "Keep-This-Id-0123456789"
    assert f"x-request-id: {kept}".encode() in edge.get(HOST, "/headers", {"X-Request-Id": kept}).body


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls(edge: Edge) -> None:
    subject, alpn, version = handshake(edge.settings.https_port, "unknown.example.com", ["h2", "http/1.1"])
    assert (subject, alpn) == ("localhost", "h2")
    assert version in ("TLSv1.2", "TLSv1.3")
    assert handshake(edge.settings.https_port, HOST, ["http/1.1"], ssl.TLSVersion.TLSv1_2)[1:] == (
        "http/1.1",
        "TLSv1.2",
    )
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(edge.settings.https_port, HOST, version=ssl.TLSVersion.TLSv1_1)


def test_the_platforms_own_hosts_lead_to_pogod(edge: Edge) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head), head))

    away = edge.get("localhost", "/apps")
    assert (away.status, away.headers["content-type"], away.headers["retry-after"]) == (503, "application/json", "1")
    server = edge.run(asyncio.start_unix_server(answer, str(edge.settings.daemon_socket)))
    edge.settings.daemon_socket.chmod(0o660)
    for host in ("localhost", "127.0.0.1:80", "api.localhost", "git.localhost", "dashboard.localhost"):
        assert edge.get(host, "/apps").body.startswith(b"GET /apps HTTP/1.1\r\n")
    for path in ("/internal/x", "/internal", "//internal/x", "/%69nternal/x"):
        assert edge.get("localhost", path).status == 404
    assert edge.get("localhost", "/internals").status == 200
    server.close()


@pytest.mark.parametrize("as_root", [True, False])
def test_haproxy_accepts_the_configuration_of_a_public_installation(edge: Edge, as_root: bool) -> None:
    settings = edge.settings.model_copy(update={"domain": "apps.example.com", "bind": "::1", "max_apps": 4000})
    text = render(settings, as_root=as_root)
    assert "-m str api.apps.example.com git.apps.example.com dashboard.apps.example.com\n" in text
    checked = edge.directory / "checked.cfg"
    checked.write_text(text)
    done = subprocess.run(["haproxy", "-c", "-f", str(checked)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Configuration file is valid\n"), done.stderr


def test_writing_the_configuration_again_changes_nothing(edge: Edge) -> None:
    assert not write(edge.settings)
    edge.paths.config.write_text("broken")
    assert write(edge.settings)
