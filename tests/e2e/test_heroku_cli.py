"""The official Heroku CLI, unmodified, against this platform: by the variables that `pogo env` prints."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from installation import Installation
from small_apps import change, make, small
from terminal import Terminal
from waiting import eventually

VERSION = "11.10.0"
PLACE = Path("/var/cache/pogo/heroku-cli")


@pytest.fixture(scope="module")
def program() -> Path:
    """The CLI, installed once by npm."""
    found = PLACE / "node_modules" / ".bin" / "heroku"
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the same run may be installing it
        if not found.exists():
            if not shutil.which("npm"):
                pytest.skip("The official CLI needs npm, which is not here.")
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(PLACE), f"heroku@{VERSION}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
            if done.returncode:
                pytest.skip(f"npm cannot install the official CLI: {done.stderr.strip().splitlines()[-1:]}")
    return found


class Heroku:
    """The CLI in a shell that has evaluated `pogo env`."""

    def __init__(self, platform: Installation, program: Path, work: Path) -> None:
        self.platform = platform
        self.work = work
        exports = platform.pogo("env")
        self.environment = dict(re.findall(r"^export (\w+)='?(.*?)'?$", exports, re.M))
        self.environment["PATH"] = f"{program.parent}:{platform.environment['PATH']}"

    def call(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.platform.call(*args, cwd=self.work, env=self.environment)

    def __call__(self, *args: str) -> str:
        done = self.call("heroku", *args)
        assert done.returncode == 0, f"heroku {' '.join(args)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout


@pytest.fixture(scope="module")
def heroku(platform: Installation, program: Path) -> Heroku:
    """In the directory of a small app that is not created yet."""
    work = make(platform, "official", small("one"))
    platform.pogo("destroy", "--confirm", "official", cwd=work)
    return Heroku(platform, program, work)


def forward_a_port(platform: Installation, heroku: Heroku, app: str) -> None:
    """ps:forward reaches the web process past the router; ps:socks offers the way for any port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ports = f"{port}:{platform.get(app, '/env/PORT').body}"
    with in_terminal(platform, heroku, "ps:forward", ports, "-a", app) as terminal:
        eventually(lambda: terminal.shows(f"Listening on {port} and forwarding to web.1"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            assert answer.read() == b"one web.1"
    with in_terminal(platform, heroku, "ps:socks", "-a", app) as terminal:
        eventually(lambda: terminal.shows("proxy server started on port 1080"))


@contextmanager
def in_terminal(platform: Installation, heroku: Heroku, *words: str) -> Iterator[Terminal]:
    terminal = Terminal(platform, heroku.work, "heroku", *words, env=heroku.environment)
    try:
        yield terminal
    finally:
        terminal.close()


def test_inside_a_running_dyno(platform: Installation, heroku: Heroku) -> None:
    """By SSH on port 80, without a dyno being restarted first."""
    heroku("create", "within", "--remote", "within")
    platform.pogo("git:remote", "-a", "within", cwd=heroku.work)
    platform.push(heroku.work)
    flags = ("-a", "within")
    eventually(lambda: platform.get("within").body.endswith("web.1"))
    with in_terminal(platform, heroku, "logs", "--tail", "-a", "within") as tail:
        eventually(lambda: tail.shows("State changed from starting to up"))
        platform.get("within", "/say/first-word")
        eventually(lambda: tail.shows("app.web.1.: first-word"))
        # The client comes back by itself when pogod is restarted, as for a new version.
        old = platform.pid("pogod")
        os.kill(old, signal.SIGTERM)
        platform.get("within", "/say/second-word")
        eventually(lambda: tail.shows("app.web.1.: second-word"))
        assert platform.pid("pogod") != old
        platform.get("within", "/say/third-word")
        eventually(lambda: tail.shows("app.web.1.: third-word"))
        assert re.findall(r"app.web.1.: (\w+)-word", tail.text) == ["first", "second", "third"]
    said = heroku("ps:exec", "echo inside $DYNO; tty", *flags)
    assert "Connecting to web.1 on within... up" in said
    assert re.search(r"^inside web\.1\r?\n/dev/pts/0", said, re.M), said
    assert re.search(
        "^by pogo in web.1", heroku.call("pogo", "heroku", "ps:exec", "echo by pogo in $DYNO", *flags).stdout, re.M
    )
    assert re.search(r"web\.1\s+up\s+running", heroku("ps:exec", "--status", *flags))
    heroku("ps:copy", "server.py", *flags, "-o", "copied.py")
    assert (heroku.work / "copied.py").read_text() == (heroku.work / "server.py").read_text()
    (heroku.work / "copied.py").unlink()
    forward_a_port(platform, heroku, "within")
    refused = heroku.call("heroku", "ps:exec", "ls", *flags, "--dyno", "web.7")
    assert "Could not connect to dyno!" in refused.stdout
    heroku("destroy", "within", "--confirm", "within")


def test_the_official_and_our_own_client_share_an_app(platform: Installation, heroku: Heroku) -> None:
    heroku("create", "both", "--remote", "official")
    platform.pogo("git:remote", "-a", "both", cwd=heroku.work)
    change(platform, heroku.work, small("two"))
    eventually(lambda: platform.get("both").body == "two web.1")
    assert "=== both Releases - Current: v2" in heroku("releases", "-a", "both")
    heroku("destroy", "both", "--confirm", "both")
