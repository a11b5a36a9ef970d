"""Into a running dyno: a shell, commands, files, ports; and what becomes of them when something is killed."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation
from small_apps import make, small
from test_run import Terminal
from waiting import eventually

PROFILE = "export FROM_PROFILE=sourced; echo noise of a profile\n"


@pytest.fixture(scope="module")
def app(platform: Installation) -> Path:
    work = make(platform, "inside", {**small(), ".profile": PROFILE})
    (work / "blob").write_bytes(os.urandom(3 << 20))
    platform.commit(work, "blob")
    platform.push(work)
    platform.pogo("config:set", "GREETING=good morning", cwd=work)
    eventually(lambda: platform.get("inside", "/env/GREETING").body == "good morning")
    return work


@pytest.fixture
def bash(platform: Installation, app: Path) -> Iterator[Terminal]:
    terminal = Terminal(platform, app, "pogo", "ps:exec")
    yield terminal
    terminal.close()


def containers(platform: Installation) -> set[str]:
    return {path.parent.name for path in (platform.state / "run/c").glob("*/spec")}


def joined(platform: Installation) -> list[str]:
    """lxc-attach processes of the platform."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"lxc-attach" and str(platform.state / "run").encode() in words:
            found.append(path.parent.name)
    return found


def test_a_shell(platform: Installation, app: Path, bash: Terminal) -> None:
    eventually(lambda: bash.shows(r"Connecting to web\.1 on ⬢ inside\.\.\. up"))
    eventually(lambda: bash.shows(r"~ ?\$ $"))
    bash.type("stty size; echo $DYNO, $GREETING, $FROM_PROFILE; pwd; tty\n")
    eventually(lambda: bash.shows("40 100\r\nweb.1, good morning, sourced\r\n/app\r\n/dev/pts/0\r\n"))
    bash.resize(50, 120)
    eventually(lambda: bash.type("stty size\n") or bash.shows("50 120\r"))
    bash.type("sleep 1000; echo status $?\n")
    eventually(lambda: bash.shows("sleep 1000; echo status"))
    bash.type("\x03")
    eventually(lambda: bash.shows(r"\^C(?s:.*)\$ $"))
    bash.type("exit 42\n")
    assert bash.process.wait(10) == 42
    assert re.search(r"^web\.1: up", platform.pogo("ps", cwd=app), re.M)
    eventually(lambda: not joined(platform))


def test_commands_pipes_and_statuses(platform: Installation, app: Path) -> None:
    done = platform.call("pogo", "ps:exec", "echo hi; exit 9", cwd=app)
    assert done.returncode == 9
    assert done.stdout.endswith("hi\n")
    said = platform.run("pogo", "ps:exec", "--dyno", "web.1", "--", "sort", "-r", cwd=app, input="a\nb\nc\n")
    assert said.endswith("c\nb\na\n")
    assert "web.1" in platform.pogo("ps:exec", "--status", cwd=app)


def test_a_file_is_copied(platform: Installation, app: Path) -> None:
    said = platform.pogo("ps:copy", "blob", "-o", "copied", cwd=app)
    assert "Copying blob to copied" in said
    assert (app / "copied").read_bytes() == (app / "blob").read_bytes()
    again = platform.call("pogo", "ps:copy", "blob", cwd=app)
    assert again.returncode and "already exists" in again.stdout
    missing = platform.call("pogo", "ps:copy", "no/such file", cwd=app)
    assert missing.returncode and "No such file or directory" in missing.stdout
    assert sorted(path.name for path in app.iterdir() if "such" in path.name) == []


def test_a_port_is_forwarded(platform: Installation, app: Path) -> None:
    port = platform.pogo("ps:exec", "echo $PORT", cwd=app).split()[-1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        here = free.getsockname()[1]
    command = ["pogo", "ps:forward", f"{here}:{port},{here + 1}:1"]
    with subprocess.Popen(
        command, cwd=app, env=platform.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == f"Listening on {here} and forwarding to web.1:{port}\n"
        running.stdout.readline()
        running.stdout.readline()
        connections = [http.client.HTTPConnection("127.0.0.1", here, timeout=20) for _ in range(3)]
        for connection in connections:
            connection.request("GET", "/")
        for connection in connections:
            assert connection.getresponse().read() == b"one web.1"
            connection.close()
        closed = http.client.HTTPConnection("127.0.0.1", here + 1, timeout=20)
        closed.request("GET", "/")
        with pytest.raises(OSError):
            closed.getresponse()
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
    assert "Nothing listens on port 1 of web.1" in rest


def test_what_cannot_be_entered(platform: Installation, app: Path) -> None:
    def refused(*command: str) -> str:
        done = platform.call("pogo", *command, cwd=app)
        assert done.returncode
        return done.stdout

    assert "Couldn't find that dyno (web.9)" in refused("ps:exec", "-d", "web.9", "ls")
    assert "Couldn't find that app" in refused("ps:exec", "-a", "nowhere", "ls")
    assert "is no port" in refused("ps:forward", "http")
    assert "Couldn't find that dyno (web.9)" in refused("ps:forward", "-d", "web.9", "8080")
    platform.pogo("features:disable", "runtime-heroku-exec", cwd=app)
    for command in (("ps:exec", "ls"), ("ps:copy", "Procfile", "-o", "other")):
        assert "features:enable runtime-heroku-exec" in refused(*command)
    platform.pogo("features:enable", "runtime-heroku-exec", cwd=app)
    platform.pogo("ps:exec", "true", cwd=app)


def test_it_ends_with_its_dyno(platform: Installation, app: Path, bash: Terminal) -> None:
    eventually(lambda: bash.shows(r"\$ $"))
    platform.pogo("ps:restart", "web.1", cwd=app)
    assert bash.process.wait(40) == 137
    eventually(lambda: not joined(platform))
    eventually(lambda: platform.get("inside").status == 200)


def test_a_killed_daemon_hangs_up_what_it_joined(platform: Installation, app: Path, bash: Terminal) -> None:
    eventually(lambda: bash.shows(r"\$ $"))
    before = containers(platform)
    platform.kill("pogod")
    eventually(lambda: not joined(platform))
    assert bash.process.wait(20) != 0
    assert platform.get("inside").body == "one web.1"
    eventually(lambda: platform.call("pogo", "ps:exec", "echo again", cwd=app).stdout.endswith("again\n"))
    assert containers(platform) == before
