"""Supervision by runit: `runsvdir` on `<state>/service`, one `runsv` a program, `svlogd` for its log."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pogo.errors import CommandFailed, Unavailable
from pogo.install import processes
from pogo.install.places import write
from pogo.install.supervision import Service
from pogo.process import run

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
STOP_SECONDS = 20
LOG_SETTINGS = "s2000000\nn10\n"  # svlogd: ten files of 2 MB

RUN = """\
#!/bin/sh
# Written by Pogoapp's bin/up; changes here are lost.
exec 2>&1
cd /
ulimit -n "$(ulimit -Hn)"
# svlogd stops on a full disk; the program shall lose its messages then, not wait.
perl -MFcntl -e 'fcntl(STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK)'
exec env -i PATH={path} LC_ALL=C.UTF-8 {variables} setpriv {identity}--pdeathsig KILL -- {command}
"""

LOG = """\
#!/bin/sh
exec env -i PATH={path} svlogd -tt {directory}
"""


class Runit:
    """state: the installation's directory. Implements supervision.Supervisor."""

    def __init__(self, state: Path) -> None:
        self.services = state / "service"
        self.logs = state / "log"
        self._command = ["runsvdir", "-P", str(self.services)]

    def install(self, services: list[Service]) -> None:
        self.services.mkdir(mode=0o700, exist_ok=True)
        for service in services:
            logs = self.logs / service.name
            logs.mkdir(mode=0o750, exist_ok=True)
            write(logs / "config", LOG_SETTINGS, mode=0o644)
            directory = self.services / service.name
            if directory.exists():
                write(directory / "run", _run_script(service), mode=0o755)
                continue
            # runsvdir passes over names that begin with a dot, so it never sees half a service.
            new = self.services / f".{service.name}"
            shutil.rmtree(new, ignore_errors=True)
            (new / "log").mkdir(parents=True)
            (new / "down").touch()
            write(new / "run", _run_script(service), mode=0o755)
            write(new / "log" / "run", LOG.format(path=PATH, directory=shlex.quote(str(logs))), mode=0o755)
            new.rename(directory)
        if not self._running():
            self._start_runsvdir()
        for service in services:
            _until(partial(_listens, self.services / service.name), 10, f"runsv of {service.name}")

    def pid(self, name: str) -> int | None:
        return _pid(self.services / name)

    def start(self, name: str) -> None:
        directory = self.services / name
        (directory / "down").unlink(missing_ok=True)
        if self.pid(name):
            self._sv("force-stop", name)
        self._sv("start", name)

    def stop(self, name: str) -> None:
        (self.services / name / "down").touch()
        if self.pid(name):
            self._sv("force-stop", name)

    def retire(self, keep: list[Service]) -> None:
        names = {service.name for service in keep}
        for place in self.services.iterdir():
            if place.name.startswith(".") or place.name in names:
                continue
            self.stop(place.name)
            hidden = place.with_name(f".{place.name}")  # runsvdir passes over it, and ends its runsv
            shutil.rmtree(hidden, ignore_errors=True)
            place.rename(hidden)
            with suppress(CommandFailed):  # where runsvdir was first
                run("sv", "exit", hidden)
            _until(partial(_let_go, hidden), STOP_SECONDS, f"the end of runsv of {place.name}")
            shutil.rmtree(hidden)

    def remove(self) -> None:
        for pid in self._running():
            os.kill(pid, signal.SIGTERM)  # it ends and leaves its runsv running
            _until(partial(processes.ended, pid), 10, "the end of runsvdir")
        if not self.services.exists():
            return
        supervised = [place for place in sorted(self.services.iterdir(), reverse=True) if _listens(place)]
        for place in supervised:
            self._sv("force-stop", place.name)
            run("sv", "exit", place)
            _until(partial(_let_go, place), STOP_SECONDS, f"the end of runsv of {place.name}")
        shutil.rmtree(self.services)

    def log(self, name: str) -> str:
        return f"tail -F {self.logs / name / 'current'}"

    def _running(self) -> list[int]:
        return processes.find(self._command)

    def _start_runsvdir(self) -> None:
        """Detached: with a session of its own, and nothing of ours open."""
        subprocess.Popen(
            self._command,
            cwd="/",
            env={"PATH": PATH},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _sv(self, verb: str, name: str) -> None:
        run("sv", "-w", str(STOP_SECONDS), verb, self.services / name)


def _run_script(service: Service) -> str:
    """A program dies with its runsv (pdeathsig), so that the next runsv does not start it twice."""
    variables = " ".join(f"{key}={shlex.quote(value)}" for key, value in service.variables().items())
    account = pwd.getpwnam(service.user)
    identity = f"--reuid {account.pw_uid} --regid {account.pw_gid} --init-groups " if account.pw_uid else ""
    return RUN.format(path=PATH, variables=variables, identity=identity, command=shlex.join(service.arguments))


def _pid(directory: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError):
        pid = int((directory / "supervise" / "pid").read_text())
        return None if processes.ended(pid) else pid
    return None


def _let_go(directory: Path) -> bool:
    """Whether runsv has ended. It waits for its svlogd, which a monitor that holds its pipe would keep for ever."""
    if not _listens(directory):
        return True
    logger = _pid(directory / "log")
    if logger:
        with suppress(ProcessLookupError):
            os.kill(logger, signal.SIGTERM)
    return False


def _listens(directory: Path) -> bool:
    """Whether a runsv serves the directory: its control pipe has a reader."""
    try:
        os.close(os.open(directory / "supervise" / "ok", os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def _until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Unavailable(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(0.02)
