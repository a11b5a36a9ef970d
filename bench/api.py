"""The API with a thousand apps, as a user asks it over loopback, beside Starlette that sends the same bytes."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

ROUNDS = 300  # requests of each kind, to each server, taken in turns


class Kind(NamedTuple):
    path: str
    headers: dict[str, str]


class Answer(NamedTuple):
    taken: float  # milliseconds
    status: int
    headers: dict[str, str]
    body: bytes


KINDS = {
    "GET /apps, the first page (200 apps)": Kind("/apps", {}),
    "GET /apps, all of 1,000": Kind("/apps", {"Range": "name ..; max=1000"}),
    "GET /apps, all of 1,000, gzip": Kind("/apps", {"Range": "name ..; max=1000", "Accept-Encoding": "gzip"}),
    "GET /apps, a page in the middle": Kind("/apps", {"Range": "name ]app-0499..; max=200"}),
    "GET /apps, all, If-None-Match": Kind("/apps", {"Range": "name ..; max=1000", "If-None-Match": "?"}),
    "GET /apps/{app}": Kind("/apps/app-0500", {}),
    "GET /apps/{app}, If-None-Match": Kind("/apps/app-0500", {"If-None-Match": "?"}),
    "GET /apps/{app}/config-vars": Kind("/apps/app-0500/config-vars", {}),
    "GET /apps/{app}/releases": Kind("/apps/app-0500/releases", {}),
    "GET /account": Kind("/account", {}),
}


def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="pogo-bench-") as directory:
        place = Path(directory)
        with _server("pogo", place) as port:
            api = http.client.HTTPConnection("127.0.0.1", port)
            token = (place / "token").read_text()
            kinds = {name: _prepared(api, kind, token) for name, kind in KINDS.items()}
            answers = {name: _ask(api, kind, name) for name, kind in kinds.items()}
            (place / "answers.json").write_text(json.dumps({name: _sent(one) for name, one in answers.items()}))
            with _server("bare", place) as bare_port:
                bare = http.client.HTTPConnection("127.0.0.1", bare_port)
                for name, kind in kinds.items():
                    _compare(name, kind, bare, api)


def _prepared(api: http.client.HTTPConnection, kind: Kind, token: str) -> Kind:
    headers = {**kind.headers, "Authorization": f"Bearer {token}"}
    if "If-None-Match" in headers:
        plain = {key: value for key, value in headers.items() if key != "If-None-Match"}
        headers["If-None-Match"] = _ask(api, Kind(kind.path, plain), "").headers["etag"]
    return Kind(kind.path, headers)


def _sent(answer: Answer) -> dict[str, Any]:
    """For the bare server: what it adds by itself is left out."""
    own = ("date", "server", "content-length", "content-encoding")
    headers = {key: value for key, value in answer.headers.items() if key not in own}
    return {"status": answer.status, "headers": headers, "body": answer.body.decode("latin-1")}


def _compare(name: str, kind: Kind, bare: http.client.HTTPConnection, api: http.client.HTTPConnection) -> None:
    floor, ours = [], []
    for _ in range(ROUNDS):
        floor.append(_ask(bare, kind, name).taken)
        last = _ask(api, kind, name)
        ours.append(last.taken)
    p50, p99 = median(ours), quantiles(ours, n=100)[98]
    size = f"{last.status}, {len(last.body):,} bytes"
    least = median(floor)
    print(f"  {name:<40} {p50:7.2f} ms (p99 {p99:6.1f})   bare {least:6.2f}   x {p50 / least:5.1f}   {size}")


def _ask(connection: http.client.HTTPConnection, kind: Kind, name: str) -> Answer:
    began = time.perf_counter()
    connection.request("GET", kind.path, headers={**kind.headers, "X-Kind": name})
    response = connection.getresponse()
    body = response.read()
    taken = (time.perf_counter() - began) * 1000
    found = {key.lower(): value for key, value in response.getheaders()}
    assert response.status in (200, 206, 304), body
    return Answer(taken, response.status, found, body)


@contextmanager
def _server(kind: str, place: Path) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "bench.api_server", kind, str(place)])
    try:
        port = place / "port"
        until = time.monotonic() + 60
        while not port.exists():
            assert process.poll() is None, f"the server {kind} has ended"
            assert time.monotonic() < until, f"the server {kind} has not begun"
            time.sleep(0.05)
        number = int(port.read_text())
        port.unlink()
        yield number
    finally:
        process.terminate()
        process.wait(10)
