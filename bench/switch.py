"""From "the new dyno answers" to "it has got a request": restarts under constant requests, and a first start."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from installation import Installation

from bench.table import show

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "20"))
APP = "bench-switch"
# Answers since when it listens, and when the request came, on the clock that client and dyno share.
SERVER = """
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"listens": LISTENS, "came": time.time()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 100

    def server_bind(self):
        self.socket.setsockopt(1, 2, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "app", 0

server = Server(("0.0.0.0", int(os.environ["PORT"])), Handler)
LISTENS = time.time()
server.serve_forever()
"""


def measure(platform: Installation) -> None:
    work = platform.home / APP
    work.mkdir()
    (work / "server.py").write_text(SERVER)
    (work / "Procfile").write_text("web: python3 server.py\n")
    platform.run("git", "init", "--quiet", cwd=work)
    platform.commit(work, "server")
    platform.pogo("create", APP, cwd=work)
    platform.push(work)
    found: dict[str, list[float]] = {}
    for name, settings in (("port answers", ("ready=",)), ("HTTP path answers", ("ready=/health",))):
        platform.pogo("checks:set", *settings, "-a", APP)
        found[f"{name} → first request, at a restart"] = [_restart(platform) for _ in range(ROUNDS)]
        found[f"{name} → first request, at a start"] = [_start(platform) for _ in range((ROUNDS + 1) // 2)]
    show(found, "ms")
    platform.pogo("destroy", "-a", APP, "--confirm", APP)


def _restart(platform: Installation) -> float:
    """Two clients ask every other millisecond, while the app is restarted."""
    before = _ask(platform)["listens"]
    first: list[dict[str, Any]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = _ask(platform)
            if answer["listens"] != before:
                first.append(answer)
                stop.set()
            time.sleep(0.002)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    platform.pogo("ps:restart", "-a", APP)
    for thread in threads:
        thread.join(60)
    return min(_taken(answer) for answer in first)


def _start(platform: Installation) -> float:
    """A request waits for the first dyno."""
    platform.pogo("ps:scale", "web=0", "-a", APP)
    _until_no_dyno(platform)
    platform.pogo("ps:scale", "web=1", "-a", APP)
    while not (answer := _ask(platform)):
        time.sleep(0.002)  # the router has not heard of it yet
    return _taken(answer)


def _taken(answer: Mapping[str, Any]) -> float:
    return float(answer["came"] - answer["listens"]) * 1000


def _until_no_dyno(platform: Installation) -> None:
    while platform.get(APP).status == 200:
        time.sleep(0.05)


def _ask(platform: Installation) -> dict[str, Any]:
    """What the app says; empty for a refusal of the router."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.http_port, timeout=80)
    try:
        connection.request("GET", "/", headers={"Host": f"{APP}.localhost"})
        response = connection.getresponse()
        body = response.read()
        answer: dict[str, Any] = json.loads(body) if response.status == 200 else {}
        return answer
    finally:
        connection.close()
