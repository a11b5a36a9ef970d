"""What is under way when dynos go: WebSockets and downloads through a release, a restart, a scale-down, a sick dyno."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from installation import Installation
from load import Load
from small_apps import make
from waiting import eventually
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Message, Request

APP = "flowing"
PIECES, PIECE = 20, 20_000
# A WebSocket is echoed with the dyno's name in front; a download takes four seconds; /fall-ill fails the checks.
SERVER = """
import os, signal, socketserver, sys, time
from base64 import b64encode
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DYNO = os.environ["DYNO"]
ill = False

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global ill
        if self.path == "/ws":
            return self.websocket()
        if self.path == "/download":
            self.send_response(200)
            self.send_header("Content-Length", str(PIECES * PIECE))
            self.end_headers()
            for number in range(PIECES):
                self.wfile.write(b"%c" % (65 + number) * PIECE)
                time.sleep(0.2)
            return
        ill = ill or self.path == "/fall-ill"
        self.send_response(500 if ill and self.path == "/live" else 200)
        self.send_header("Content-Length", str(len(DYNO)))
        self.end_headers()
        self.wfile.write(DYNO.encode())

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", b64encode(sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while len(head := self.rfile.read(6)) == 6 and head[0] == 0x81:
            masked = self.rfile.read(head[1] & 0x7f)
            text = bytes(byte ^ head[2 + at % 4] for at, byte in enumerate(masked))
            answer = DYNO.encode() + b" " + text
            self.wfile.write(bytes([0x81, len(answer)]) + answer)

    def log_message(self, *words):
        pass

signal.signal(signal.SIGTERM, lambda *_: (print("goodbye", flush=True), sys.exit(0)))
ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def app(platform: Installation) -> Iterator[Path]:
    server = SERVER.replace("PIECES", str(PIECES)).replace("PIECE", str(PIECE))
    work = make(platform, APP, {"Procfile": "web: python3 server.py\n", "server.py": server})
    platform.push(work)
    yield work
    platform.pogo("destroy", "--confirm", APP, cwd=work)


class WebSocket:
    """An open one. dyno: at its other end."""

    def __init__(self, platform: Installation) -> None:
        self._connection = socket.create_connection(("127.0.0.1", platform.http_port), timeout=20)
        self._client = WSConnection(ConnectionType.CLIENT)
        self._connection.sendall(self._client.send(Request(host=f"{APP}.localhost", target="/ws")))
        assert isinstance(self._event(), AcceptConnection)
        self.dyno = self.echo("hello").partition(" ")[0]

    def echo(self, text: str) -> str:
        self._connection.sendall(self._client.send(Message(data=text)))
        event = self._event()
        assert isinstance(event, Message), event
        return str(event.data)

    def _event(self) -> object:
        while (event := next(self._client.events(), None)) is None:
            self._client.receive_data(self._connection.recv(65536) or None)
        return event

    def close(self) -> None:
        self._connection.close()


class Download(threading.Thread):
    """Begins when it is made; `text` is what came."""

    def __init__(self, platform: Installation) -> None:
        super().__init__()
        self.text = b""
        self._connection = http.client.HTTPConnection("127.0.0.1", platform.http_port, timeout=60)
        self._connection.request("GET", "/download", headers={"Host": f"{APP}.localhost"})
        self.start()

    def run(self) -> None:
        self.text = self._connection.getresponse().read()
        self._connection.close()


@contextmanager
def under_way(platform: Installation, dynos: set[str]) -> Iterator[None]:
    """A WebSocket to each of these dynos, and downloads from them. At the end all of them must be whole."""
    with ExitStack() as stack:
        sockets: dict[str, WebSocket] = {}
        while set(sockets) != dynos:
            one = WebSocket(platform)
            sockets.setdefault(one.dyno, one)
            stack.callback(one.close)
        downloads = [Download(platform) for _ in range(4)]
        yield
        for dyno, one in sockets.items():
            assert one.echo("still there?") == f"{dyno} still there?"
        for download in downloads:
            download.join(60)
        wanted = b"".join(b"%c" % (65 + number) * PIECE for number in range(PIECES))
        assert [download.text == wanted for download in downloads] == [True] * 4
        for dyno, one in sockets.items():
            assert one.echo("still there?") == f"{dyno} still there?"


def ids(platform: Installation) -> set[str]:
    dynos = platform.pogo_json("ps", "--app", APP)
    assert isinstance(dynos, list)
    return {dyno["id"] for dyno in dynos if dyno["state"] == "up"}


def serving(platform: Installation) -> set[str]:
    """Names of the dynos that requests are sent to."""
    return {platform.get(APP).body for _ in range(6)}


def containers(platform: Installation) -> int:
    """How many of the app there are, with those that only end what they have begun."""
    return sum(str(one["id"]).startswith("web-") for one in platform.records(APP))


def test_what_is_under_way_outlives_its_dynos_turn(platform: Installation, app: Path) -> None:
    platform.pogo("ps:scale", "web=2", cwd=app)
    eventually(lambda: len(ids(platform)) == 2, 60)
    with Load(platform, APP) as load:
        for command in (("config:set", "A=1"), ("ps:restart",), ("ps:scale", "web=1")):
            eventually(lambda: serving(platform) == {"web.1", "web.2"}, 60)
            before, scaled = ids(platform), "web=1" in command
            with under_way(platform, {"web.1", "web.2"}):
                platform.pogo(*command, cwd=app)
                if scaled:
                    eventually(lambda: serving(platform) == {"web.1"}, 60)
                else:
                    eventually(lambda b=before: len(ids(platform) - b) == 2, 60)
            # Nothing holds the old ones any more, so they go before their 30 seconds are over.
            eventually(lambda s=scaled: containers(platform) == (1 if s else 2), 28)
    assert load.failures == []
    told = platform.pogo("logs", "--num", "20000", "-d", "router", cwd=app).splitlines()
    failed = [line for line in told if "at=error" in line]
    assert failed == []


def said_of(platform: Installation, app: Path, dyno: str, source: str) -> str:
    """The app says much under load; what the platform says of a dyno is asked for alone."""
    return platform.pogo("logs", "--num", "1500", "-s", source, "-d", dyno, cwd=app)


def test_a_sick_dyno_is_replaced_and_nobody_notices(platform: Installation, app: Path) -> None:
    platform.pogo("ps:scale", "web=2", cwd=app)
    eventually(lambda: len(ids(platform)) == 2, 60)
    said = platform.pogo("checks:set", "ready=/ready", "live=/live", "period=1", "timeout=1", "failures=2", cwd=app)
    assert "GET /live every 1 s" in said
    eventually(lambda: serving(platform) == {"web.1", "web.2"}, 60)
    before = ids(platform)
    with Load(platform, APP) as load:
        sick = platform.get(APP, "/fall-ill").body
        eventually(lambda: len(ids(platform)) == 2 and len(ids(platform) - before) == 1, 60)
        eventually(lambda: f"heroku[{sick}]: Process exited" in said_of(platform, app, sick, "heroku"), 60)
    assert load.failures == []
    texts = [line.partition(": ")[2] for line in said_of(platform, app, sick, "heroku").splitlines()]
    begun = texts.index("Liveness check failed (1 of 2): GET /live answered 500")
    assert "Liveness check failed 2 times in a row: GET /live answered 500; replacing the dyno" in texts[begun:]
    assert ": goodbye\n" in said_of(platform, app, sick, "app")
    assert "not checked" in platform.pogo("checks:unset", "live", "ready", "period", "timeout", "failures", cwd=app)


def test_requests_are_counted(platform: Installation, app: Path) -> None:
    def requests() -> int:
        found = platform.pogo_json("router:metrics", "-a", APP)
        assert isinstance(found, dict)
        return int(found["total"]["requests"])

    known = requests()
    for _ in range(3):
        assert platform.get(APP).status == 200
    eventually(lambda: requests() >= known + 3)
    assert "p50 ms" in platform.pogo("router:metrics", "-a", APP)
