"""`pogo heroku`: the forwarder between real sockets, and a client that stands in for the official one."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pogo.cli import platforms
from pogo.cli.forwarder import forwarding
from pogo.cli.main import main
from pogo.cli.platforms import Platform

TOKEN = "HRKU-1234"
HOST = "api.example.test"
OFFICIAL = Path("/var/cache/pogo/heroku-cli/node_modules/.bin/heroku")  # where the end-to-end tests install it
LISTS: dict[str, Any] = {
    "/account": {"email": "me@example.test"},
    "/users/~/apps": [{"name": "far-app", "owner": {"email": "me@example.test"}, "region": {"name": "us"}}],
}


class Far(http.server.ThreadingHTTPServer):
    """The platform: says what it was asked, and under what name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.connections = 0
        self.go_on = threading.Event()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Far

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nfirst\r\n")
            if self.server.go_on.wait(10):
                self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif self.path == "/bye":
            self._say(b"bye")
            self.close_connection = True  # without a word, as a server that restarts
        elif self.path == "/304":
            self.send_response(304)
            self.end_headers()
        elif self.path in LISTS:
            self._say(json.dumps(LISTS[self.path]).encode())
        else:
            self._say(f"{self.path} {self.headers['Host']} {self.headers['Authorization']}".encode())

    def do_PATCH(self) -> None:
        self._say(self.rfile.read(int(self.headers["Content-Length"])), 422)

    def _say(self, text: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if self.path in LISTS:
            self.send_header("Content-Type", "application/json")
        else:
            self.send_header("Next-Range", "id ]1..")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    """Under the name HOST, which leads to this machine."""
    monkeypatch.setattr("pogo.cli.client.address", lambda host: "127.0.0.1" if host == HOST else host)
    with Far() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.go_on.set()
        server.shutdown()


def platform_of(far: Far) -> Platform:
    return Platform(f"http://{HOST}:{far.server_address[1]}", "git.example.test", TOKEN, "me@example.test")


@pytest.fixture
def near(far: Far) -> Iterator[http.client.HTTPConnection]:
    with forwarding(platform_of(far)) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        yield connection
        connection.close()


def asked(near: http.client.HTTPConnection, path: str, method: str = "GET", body: bytes | None = None) -> Any:
    near.request(method, path, body, {"Authorization": "Bearer mine", "Connection": "keep-alive"})
    answer = near.getresponse()
    return answer.status, answer.read(), answer.getheader("Next-Range")


def test_requests_arrive_under_the_name_of_the_platform_on_one_connection(
    far: Far, near: http.client.HTTPConnection
) -> None:
    host = f"{HOST}:{far.server_address[1]}"
    for path in ("/apps", "/apps/~?a=b%20c", "/304", "/apps"):
        status, text, pages = asked(near, path)
        assert (status, text, pages) == (
            (304, b"", None) if path == "/304" else (200, f"{path} {host} Bearer mine".encode(), "id ]1..")
        )
    assert asked(near, "/apps", "PATCH", b"\x00" * 100_000)[:2] == (422, b"\x00" * 100_000)
    assert far.connections == 1


def test_a_stream_comes_as_it_is_sent(far: Far, near: http.client.HTTPConnection) -> None:
    near.request("GET", "/stream")
    answer = near.getresponse()
    assert answer.read1(100) == b"first"
    far.go_on.set()
    assert answer.read() == b"last"


def test_a_connection_that_the_platform_ended_is_opened_again(far: Far, near: http.client.HTTPConnection) -> None:
    assert asked(near, "/bye")[:2] == (200, b"bye")
    assert asked(near, "/apps")[0] == 200
    assert far.connections == 2


def test_what_is_cut_off_there_is_cut_off_here(near: http.client.HTTPConnection) -> None:
    near.request("GET", "/cut")
    with pytest.raises(http.client.IncompleteRead):
        near.getresponse().read()


def test_a_platform_that_is_gone_is_told_in_the_words_of_the_api() -> None:
    with forwarding(Platform("http://127.0.0.1:1", "localhost", TOKEN)) as url:
        near = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        status, text, _ = asked(near, "/apps")
        near.close()
    assert (status, b"Cannot reach the platform at 127.0.0.1:1" in text) == (502, True)


CLIENT = r"""#!/bin/sh
case $1 in
    ask) exec curl -sS -H "Authorization: Bearer $HEROKU_API_KEY" "$HEROKU_HOST$2" ;;
    git) git config --global credential.x.helper '!heroku git:credentials'; git config user.name
         git remote add heroku "https://$HEROKU_GIT_HOST/far.git" ;;
    die) kill -TERM $$ ;;
    wait) trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done ;;
    *) for word; do echo "<$word>"; done; exit 7 ;;
esac
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: Far) -> Path:
    """A user who knows the platform, with a `heroku` on his PATH, in a repository."""
    program = tmp_path / "bin" / "heroku"
    program.parent.mkdir()
    program.write_text(CLIENT)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT", "POGO_API_URL", "POGO_API_KEY", "POGO_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    platforms.remember(platform_of(far))
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Me\n")
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    monkeypatch.chdir(work)
    return tmp_path


def test_the_client_is_run_with_its_own_words(home: Path, far: Far, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["heroku", "apps", "--help", "-a", "x y", "--", "-h"]) == 7
    assert capfd.readouterr().out == "<apps>\n<--help>\n<-a>\n<x y>\n<-->\n<-h>\n"
    assert main(["heroku", "ask", "/apps"]) == 0
    assert capfd.readouterr().out == f"/apps {HOST}:{far.server_address[1]} Bearer {TOKEN}"
    assert main(["heroku", "die"]) == 128 + 15


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official client is not installed")
def test_the_official_client_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", f"{OFFICIAL.parent}:{os.environ['PATH']}")
    assert main(["heroku", "apps"]) == 0
    assert "=== me@example.test Apps\n\nfar-app\n" in capfd.readouterr().out
    assert (home / ".gitconfig").read_text() == "[user]\n\tname = Me\n"


def test_git_knows_the_user_and_his_file_stays_as_it_was(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["heroku", "git"]) == 0
    shown = capfd.readouterr()
    assert (shown.out, "git push heroku main" in shown.err) == ("Me\n", True)
    assert (home / ".gitconfig").read_text() == "[user]\n\tname = Me\n"
    key = "credential.https://git.example.test.helper"
    told = subprocess.run(["git", "config", "--local", "--get-all", key], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("\n!") and told.stdout.endswith(" git:credentials\n")
    assert main(["heroku", "ask", "/apps"]) == 0
    assert "git push" not in capfd.readouterr().err  # it is said once


def test_what_asks_pogo_to_end_is_passed_on(home: Path) -> None:
    script = "import sys; from pogo.cli.main import main; sys.exit(main(['heroku', 'wait']))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == "told\n"
        assert process.wait(10) == 9


def test_without_the_client_it_says_how_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert main(["heroku", "apps"]) == 127
    assert "npm install -g heroku" in capsys.readouterr().err
