"""A recording double of the Platform API for the unit tests of `pogo`: it answers what a test wrote down, nothing else.

A test module takes the fixture by `cli = cli_double.cli`.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pogo.cli import platforms
from pogo.cli.main import main
from pogo.cli.platforms import Platform

TOKEN = "HRKU-1234"
EMAIL = "me@example.com"
DATE = "2026-11-23T12:00:00Z"
APP = {
    "id": "01234567-89ab-cdef-0123-456789abcdef",
    "name": "myapp",
    "acm": False,
    "archived_at": None,
    "build_stack": {"id": "1", "name": "pogo-13"},
    "maintenance": False,
    "owner": {"email": EMAIL, "id": "2"},
    "region": {"id": "3", "name": "us"},
    "repo_size": 0,
    "slug_size": 1536,
    "stack": {"id": "1", "name": "pogo-13"},
    "web_url": "https://myapp.localhost/",
}


class Request(NamedTuple):
    method: str
    path: str
    body: Any
    headers: dict[str, str]


class Result(NamedTuple):
    status: int
    out: str
    err: str


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Double

    def _any(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(self.command, self.path, json.loads(raw) if raw else None, headers)
        self.server.requests.append(request)
        answer = self.server.next_answer(request)
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for key, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the requests are recorded."""


class Double(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[Request] = []
        self.answers: dict[tuple[str, str], list[Answer]] = {}

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}"

    def next_answer(self, request: Request) -> Answer:
        """The answers to one call in their order; the last one is repeated."""
        queue = self.answers.get((request.method, request.path))
        if not queue:
            kind = request.path.split("/")[1].removesuffix("s")
            message = f"Couldn't find that {kind}."
            return Answer(404, {"id": "not_found", "resource": kind, "message": message}, {})
        return queue.pop(0) if len(queue) > 1 else queue[0]


class Cli:
    """Runs `pogo` against the double, logged in."""

    def __init__(self, double: Double, monkeypatch: pytest.MonkeyPatch, read: Callable[[], Any]) -> None:
        self.double = double
        self.requests = double.requests
        self._monkeypatch = monkeypatch
        self._read = read

    def answer(self, call: str, body: Any, status: int = 200, **headers: str) -> None:
        """`answer("GET /account", {...})`; `headers` with underscores for dashes."""
        method, _, path = call.partition(" ")
        shown = {key.replace("_", "-"): value for key, value in headers.items()}
        self.double.answers.setdefault((method, path), []).append(Answer(status, body, shown))

    def run(self, *words: str, stdin: str = "") -> Result:
        self.requests.clear()
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        self._read()
        status = main(list(words))
        out, err = self._read()
        return Result(status, out, err)

    @property
    def calls(self) -> list[str]:
        """`METHOD path` of what the last command asked."""
        return [f"{request.method} {request.path}" for request in self.requests]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    for name in ("POGO_API_URL", "POGO_API_KEY", "POGO_CA_FILE", "POGO_APP", "HEROKU_APP", "GIT_CONFIG_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    double = Double()
    thread = threading.Thread(target=double.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    platforms.remember(Platform(double.url, "localhost", TOKEN, EMAIL))
    yield Cli(double, monkeypatch, capsys.readouterr)
    double.shutdown()
    thread.join()
    double.server_close()
