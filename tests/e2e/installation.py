"""A whole platform of a test's own, made by the real bin/up and removed by the real bin/down."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ports import free_ports

CHECKOUT = Path(__file__).parents[2]
# bin/test removes what killed runs have left, by this name and the process in `pid`.
PLACES = "/tmp/pogo-test-"
HIGHEST_APPS = 100
PARTS = ("bin", "buildpacks", "deploy", "examples", "pyproject.toml", "README.md", "src", "uv.lock")


class Answer(NamedTuple):
    """headers: lower-case names."""

    status: int
    headers: dict[str, str]
    body: str


class Failed(AssertionError):
    """A command of the test ended with another status than 0."""


@dataclass(frozen=True)
class Installation:
    """place: a directory for all of it. number: tells its addresses and uids from those of other tests."""

    place: Path
    number: int
    http_port: int
    https_port: int
    rendezvous_port: int

    @property
    def state(self) -> Path:
        return self.place / "s"

    @property
    def checkout(self) -> Path:
        """What bin/up is called in: a copy, so that the run does not change when somebody edits meanwhile."""
        return self.place / "checkout"

    @property
    def home(self) -> Path:
        """The home of the person who uses it."""
        return self.place / "home"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "POGO_STATE_DIR": str(self.state),
            "POGO_HTTP_PORT": str(self.http_port),
            "POGO_HTTPS_PORT": str(self.https_port),
            "POGO_RENDEZVOUS_PORT": str(self.rendezvous_port),
            "POGO_SSH_ADDRESS": f"127.{100 + self.number}.0.1",
            "POGO_SUBNET": f"10.{100 + self.number}.0.0/16",
            "POGO_UID_BASE": str(1_500_000_000 + self.number * HIGHEST_APPS * 65536),
            "POGO_MAX_APPS": str(HIGHEST_APPS),
            "POGO_STACKS": "pogo-13",
            "POGO_DYNO_DISK_MB": "384",
            "POGO_SIZES": "small:64:128:64",
            "POGO_STORE_PATIENCE": "1",
            "POGO_API_RATE": "0",  # tests ask until something is so
        }

    @property
    def environment(self) -> dict[str, str]:
        """For programs of the person: his own home, and `pogo` of this installation first on the path.

        CI: what it is set for is no person, and the official client writes in colours there.
        """
        others = ("POGO_", "GIT_", "XDG_", "SUDO")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(others) and key != "CI"}
        path = f"{self.state / 'bin'}:{os.environ['PATH']}"
        return {**kept, "HOME": str(self.home), "PATH": path, "GIT_TERMINAL_PROMPT": "0"}

    # -- the operator's side

    def up(self, **settings: str) -> str:
        """bin/up; what it printed. Raises Failed."""
        return self.run("bin/up", cwd=self.checkout, env={**self.settings, **settings}, timeout=900)

    def down(self, *flags: str) -> str:
        return self.run("bin/down", *flags, cwd=self.checkout, env={"POGO_STATE_DIR": str(self.state)}, timeout=300)

    def pid(self, service: str) -> int:
        """The process of `agent`, `pogod` or `router`; 0 while it does not run."""
        try:
            return int((self.state / "service" / service / "supervise" / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def kill(self, service: str) -> None:
        os.kill(self.pid(service), signal.SIGKILL)

    def remove(self) -> None:
        if self.state.exists():
            self.down("--purge", "--yes")
        shutil.rmtree(self.place)

    # -- the user's side

    def run(
        self,
        *command: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        input: str | None = None,
        timeout: float = 300,
    ) -> str:
        """What a command printed, both streams together. Raises Failed where `check` is on."""
        done = self.call(*command, cwd=cwd, env=env, input=input, timeout=timeout)
        if check and done.returncode:
            raise Failed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def call(
        self,
        *command: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """As `run`, with the exit status, whatever it is."""
        return subprocess.run(
            command,
            cwd=cwd or self.home,
            env={**self.environment, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
            **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}),  # type: ignore[call-overload]
        )

    def pogo(self, *args: str, cwd: Path | None = None, check: bool = True) -> str:
        return self.run("pogo", *args, cwd=cwd, check=check)

    def pogo_json(self, *args: str) -> object:
        return json.loads(self.pogo(*args, "--json"))

    def records(self, app: str) -> list[dict[str, object]]:
        """What the agent has on record of the containers of an app."""
        id = next(one["id"] for one in self.pogo_json("apps") if one["name"] == app)  # type: ignore[attr-defined]
        specs = []
        for path in (self.state / "run/c").glob("*/spec"):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                specs.append(json.loads(path.read_text()))
        return [spec for spec in specs if spec["labels"].get("app") == id]

    def create(self, source: Path, name: str) -> Path:
        """A repository with a copy of `source`, committed, and an app for it."""
        work = self.home / name
        shutil.copytree(source, work)
        self.run("git", "init", "--quiet", cwd=work)
        self.commit(work, "first")
        self.pogo("create", name, cwd=work)
        return work

    def commit(self, work: Path, message: str) -> None:
        self.run("git", "add", "--all", cwd=work)
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message, cwd=work)

    def push(self, work: Path, *, check: bool = True) -> str:
        """A real push, with what the build said."""
        return self.run("git", "push", "pogo", "main", cwd=work, check=check)

    def get(
        self, app: str, path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None, body: str = ""
    ) -> Answer:
        """A request to an app through the router. Raises OSError while nothing answers."""
        host = app if "." in app else f"{app}.localhost"
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        try:
            connection.request(method, path, body or None, {"Host": f"{host}:{self.http_port}", **(headers or {})})
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read().decode(errors="replace"))
        finally:
            connection.close()


def reserve() -> Installation:
    """A place and numbers that no other test has; nothing runs yet."""
    for number in range(100):
        place = Path(f"{PLACES}{number}")
        try:
            place.mkdir()
        except FileExistsError:
            continue
        (place / "pid").write_text(str(os.getpid()))
        http_port, https_port, rendezvous_port = free_ports(3)
        found = Installation(place, number, http_port, https_port, rendezvous_port)
        found.home.mkdir()
        found.checkout.mkdir()
        for name in PARTS:
            part = CHECKOUT / name
            copy = shutil.copytree if part.is_dir() else shutil.copy2
            copy(part, found.checkout / name)
        (found.home / ".gitconfig").write_text(
            "[user]\n\tname = Tester\n\temail = tester@example.com\n[init]\n\tdefaultBranch = main\n"
        )
        _know_another_platform(found.home)
        return found
    raise RuntimeError(f"{PLACES}0 to 99 are all taken: run bin/test clean")


def _know_another_platform(home: Path) -> None:
    """Who calls bin/up may work with a platform elsewhere: that stays his current one and is asked nothing."""
    config = home / ".config" / "pogo" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"current": "https://elsewhere.invalid", "platforms": {}}))
