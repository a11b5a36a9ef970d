"""What an HTTP app sees behind the router, and the client of it: bodies, headers, connections."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

from edge_installation import Edge
from router_dyno import Dyno, Raw, talk
from router_rig import HOST, SHORT, ask, dyno, edge, failure, head, serve

__all__ = ["dyno", "edge"]  # fixtures


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


def test_a_dynos_own_502_is_let_through(edge: Edge, dyno: Dyno) -> None:
    serve(edge, dyno)
    answer, found = ask(edge, "/own-502")
    assert (answer[:12], answer.endswith(dyno.server.name), found) == ("HTTP/1.1 502", True, "")
