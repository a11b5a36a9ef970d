"""The official Heroku CLI, unmodified, against this platform: by the variables that `pogo env` prints."""

from __future__ import annotations

import fcntl
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edge_installation import handshake
from installation import Installation
from made_certificates import make as make_certificate
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


def test_the_life_of_an_app(platform: Installation, heroku: Heroku) -> None:
    assert "admin@localhost" in heroku("whoami")
    said = heroku("create", "official")
    assert (
        f"http://official.localhost:{platform.http_port}/ | https://localhost:{platform.https_port}/official.git"
        in said
    )
    assert "official" in heroku("apps")

    # git asks the CLI for the password, by the credential helper that it has set up for its host.
    pushed = heroku.call("git", "push", "heroku", "main")
    assert pushed.returncode == 0, pushed.stdout
    assert "Verifying deploy... done." in pushed.stdout
    eventually(lambda: platform.get("official").body == "one web.1")

    assert "Setting GREETING and restarting official... done, v3" in heroku("config:set", "GREETING=good morning")
    assert heroku("config:get", "GREETING") == "good morning\n"
    eventually(lambda: platform.get("official", "/env/GREETING").body == "good morning")

    assert "done, now running web at 2:Basic" in heroku("ps:scale", "web=2")
    eventually(lambda: platform.pogo("ps", "-a", "official").count(": up ") == 2)
    listed = heroku("ps")
    assert "=== web (Basic): python3 server.py (2)" in listed
    assert "web.2: up" in listed

    log = heroku("logs", "-n", "100")
    assert "app[api]: Scaled to web@2:Basic by user admin@localhost" in log
    assert "heroku[web.1]: State changed from starting to up" in log

    run = heroku.call("heroku", "run", "--exit-code", "echo $GREETING; (exit 9)")
    assert run.returncode == 9, run.stdout
    assert "good morning" in run.stdout

    assert "v3" in heroku("releases")
    assert "Rolling back official to v2... done, v4" in heroku("rollback", "v2")
    eventually(lambda: platform.get("official", "/env/GREETING").body == "(none)")

    made = make_certificate("www.official.example")
    (heroku.work / "www.crt").write_text(made.pem)
    (heroku.work / "www.key").write_text(made.key)
    assert "SSL certificate is self signed." in heroku("certs:add", "www.crt", "www.key")
    assert "done" in heroku("domains:add", "www.official.example")
    assert "www.official.example" in heroku("domains")
    assert re.search(r"www.official.example\s.*SNI\s+1", heroku("certs"))
    eventually(lambda: handshake(platform.https_port, "www.official.example")[0] == "www.official.example")
    eventually(lambda: platform.get("www.official.example").status == 200)
    heroku("maintenance:on")
    eventually(lambda: platform.get("official").status == 503)

    refused = heroku.call("heroku", "ps:scale", "worker=1")
    assert refused.returncode != 0
    assert "Couldn't find that process type (worker)" in refused.stdout
    heroku("destroy", "--confirm", "official")
    eventually(lambda: platform.get("official").status == 404)


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
    said = heroku("ps:exec", "echo inside $DYNO; tty", *flags)
    assert "Connecting to web.1 on within... up" in said
    assert re.search(r"^inside web\.1\r?\n/dev/pts/0", said, re.M), said
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
