"""One-off dynos: in a terminal as if it were here, through pipes, and detached."""

from __future__ import annotations

import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation
from small_apps import make, small
from terminal import Terminal
from waiting import eventually


@pytest.fixture(scope="module")
def app(platform: Installation) -> Path:
    work = make(platform, "console", small())
    platform.push(work)
    platform.pogo("config:set", "GREETING=good morning", cwd=work)
    return work


@pytest.fixture
def bash(platform: Installation, app: Path) -> Iterator[Terminal]:
    terminal = Terminal(platform, app, "pogo", "run", "bash")
    yield terminal
    terminal.close()


def test_a_shell_in_a_terminal(platform: Installation, app: Path, bash: Terminal) -> None:
    before = termios.tcgetattr(bash.master)
    eventually(lambda: bash.shows(r"Running bash on ⬢ console\.\.\. up, run\.\d+"))
    eventually(lambda: bash.shows(r"~ ?\$ $"))
    bash.type("stty size; echo $GREETING; pwd\n")
    eventually(lambda: bash.shows("40 100\r\ngood morning\r\n/app\r\n"))
    bash.resize(50, 120)
    eventually(lambda: bash.type("stty size\n") or bash.shows("50 120\r"))
    bash.type("sleep 1000; echo status $?\n")
    eventually(lambda: bash.shows("sleep 1000; echo status"))
    bash.type("\x03")
    eventually(lambda: bash.shows(r"\^C(?s:.*)\$ $"))
    assert re.search(r"^run\.\d+ \(Basic\): up .*: bash$", platform.pogo("ps", cwd=app), re.M)
    bash.type("exit 42\n")
    assert bash.process.wait(10) == 42
    assert termios.tcgetattr(bash.master) == before
    eventually(lambda: "run." not in platform.pogo("ps", cwd=app))


def test_a_terminal_that_is_closed_ends_the_dyno(platform: Installation, app: Path, bash: Terminal) -> None:
    eventually(lambda: bash.shows(r"\$ $"))
    bash.process.send_signal(signal.SIGKILL)
    eventually(lambda: "run." not in platform.pogo("ps", cwd=app))


def test_pipes_and_exit_statuses(platform: Installation, app: Path) -> None:
    for command, status in (("true", 0), ("exit 3", 3), ("no-such-command", 127), ("kill -9 $$", 137)):
        assert platform.call("pogo", "run", command, cwd=app).returncode == status, command
    data = "".join(f"line {number}\n" for number in range(20_000))
    done = subprocess.run(
        ["pogo", "run", "--no-tty", "sort -n -k2 -r | head -n 3; echo oops >&2; exit 5"],
        cwd=app,
        env=platform.environment,
        input=data,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert done.stdout.startswith("line 19999\nline 19998\nline 19997\n")
    assert "\r" not in done.stdout
    binary = bytes(range(256)) * 4096
    back = subprocess.run(
        ["pogo", "run", "cat"], cwd=app, env=platform.environment, input=binary, capture_output=True, check=True
    )
    assert back.stdout == binary


def test_a_process_type_and_variables_of_its_own(platform: Installation, app: Path) -> None:
    done = platform.pogo("run", "--env", "A=1;B=two words", "echo $A-$B-$DYNO-$PORT.", cwd=app)
    assert re.search(r"^1-two words-run\.\d+-\d*\.$", done, re.M)


def test_detached(platform: Installation, app: Path) -> None:
    said = platform.pogo("run:detached", "echo working; sleep 0.3; echo $GREETING; exit 4", cwd=app)
    dyno = re.search(r"on console\.\.\. done, (run\.\d+)\nRun pogo logs --app console --dyno \1 to view", said)
    assert dyno
    eventually(lambda: "State changed from up to complete" in platform.pogo("logs", "--dyno", dyno[1], cwd=app))
    log = platform.pogo("logs", "--dyno", dyno[1], cwd=app)
    positions = [
        log.index(text)
        for text in (
            f"heroku[{dyno[1]}]: Starting process with command `echo working",
            f"app[{dyno[1]}]: working\n",
            f"app[{dyno[1]}]: good morning\n",
            f"heroku[{dyno[1]}]: Process exited with status 4",
        )
    ]
    assert positions == sorted(positions)


def test_what_cannot_run(platform: Installation, app: Path) -> None:
    platform.pogo("create", "nothing-yet", "--no-remote")
    refused = platform.call("pogo", "run", "-a", "nothing-yet", "bash")
    assert refused.returncode == 2
    assert "Cannot run a command: nothing-yet has no code yet. Deploy it first by git push." in refused.stdout
    platform.pogo("destroy", "nothing-yet", "--confirm", "nothing-yet")
    assert platform.call("pogo", "run", cwd=app).returncode != 0
    platform.pogo("destroy", "--confirm", "console", cwd=app)
