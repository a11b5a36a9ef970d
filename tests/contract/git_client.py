"""A daemon process of `git_daemon.py` and a work tree that pushes to it with the real git."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from cryptography.fernet import Fernet

from pogo.model import App, User
from pogo.services import apps, people
from pogo.services.database import Database, load_keys
from pogo.settings import Settings
from ports import free_port

DAEMON = Path(__file__).with_name("git_daemon.py")
QUIET = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@dataclass
class Done:
    """output: stdout and stderr, `remote: ` lines without git's padding."""

    status: int
    output: str


@dataclass
class Installation:
    state: Path
    schema: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    boot_timeout: float = 60

    def __post_init__(self) -> None:
        (self.state / "run").mkdir(parents=True, exist_ok=True)
        (self.state / "secrets.key").write_bytes(Fernet.generate_key())
        (self.state / "pogo.db").write_bytes(self.schema.read_bytes())
        self.settings = Settings(state_dir=self.state, database_url=f"sqlite:///{self.state}/pogo.db")
        load_keys(self.state / "secrets.key")
        self.db = Database(self.settings.database)
        self.user, self.token = self.new_user("owner@example.com")
        self.app = self.new_app("shop")
        self.start()

    def begin_again(self) -> None:
        """A new app takes the name of the last test's, and the daemon is up."""
        load_keys(self.state / "secrets.key")
        assert self.process
        if self.process.poll() is not None:
            self.start()
        apps.update_app(self.db, self.app, name=f"old-{self.app.slot}")
        self.app = self.new_app("shop")

    def new_user(self, email: str, scope: list[str] | None = None) -> tuple[User, str]:
        user = people.create_user(self.db, email)
        return user, people.authorize(self.db, user, scope=scope)[1]

    def new_app(self, name: str) -> App:
        return apps.create_app(self.db, self.user, name, "pogo-13", 100)

    def start(self) -> None:
        env = os.environ | {
            "POGO_STATE_DIR": str(self.state),
            "POGO_DATABASE_URL": self.settings.database,
            "POGO_BOOT_TIMEOUT": str(self.boot_timeout),
        }
        self.settings.daemon_socket.unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, str(DAEMON), str(self.port)], env=env)
        wait_for(self.answers)

    def answers(self) -> bool:
        try:
            httpx2.get(f"http://127.0.0.1:{self.port}/nothing")
        except httpx2.TransportError:
            return False
        return self.settings.daemon_socket.exists()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self.process
        self.process.send_signal(how)
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()
        self.db.close()

    def url(self, app: str = "shop", token: str | None = None) -> str:
        return f"http://pogo:{token or self.token}@127.0.0.1:{self.port}/{app}.git"

    def memory(self, what: str = "VmHWM") -> int:
        """Megabytes of the daemon: VmHWM (peak) or VmRSS."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"{what}:\s+(\d+)", status)
        assert match
        return int(match[1]) // 1024

    def forget_peak(self) -> None:
        assert self.process
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def sources(self) -> list[str]:
        directory = self.state / "store" / "sources"
        return sorted(os.listdir(directory)) if directory.exists() else []

    @property
    def repository(self) -> Path:
        return self.settings.git_dir / f"{self.app.id}.git"

    def at(self, ref: str) -> str:
        """The commit id that a ref of the app's repository is at, "" without one."""
        if not self.repository.exists():
            return ""
        command = ["git", "--git-dir", str(self.repository), "for-each-ref", "--format=%(objectname)", ref]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@dataclass
class WorkTree:
    path: Path
    platform: Installation

    def __post_init__(self) -> None:
        if not (self.path / ".git").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            self.git("init", "--quiet", "--initial-branch=main")
            self.git("remote", "add", "pogo", self.platform.url())

    def git(self, *args: str, **config: str) -> Done:
        with self.start(*args, **config) as process:
            return finished(process)

    def start(self, *args: str, **config: str) -> subprocess.Popen[bytes]:
        """config: `http_postBuffer="1"` is `-c http.postBuffer=1`."""
        options = [part for key, value in config.items() for part in ("-c", f"{key.replace('_', '.')}={value}")]
        return subprocess.Popen(
            ["git", *options, *args],
            cwd=self.path,
            env=os.environ | QUIET,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def commit(self, *play: str, **files: bytes) -> str:
        """Commit what the build shall do (see git_daemon.py) and some files; returns the commit id."""
        (self.path / "play").write_text("\n".join([*play, f"say {time.monotonic_ns()}", ""]))
        for name, content in files.items():
            (self.path / name).write_bytes(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").output.strip()

    def push(self, *args: str, **config: str) -> Done:
        return self.git("push", *(args or ("pogo", "main")), **config)

    def start_push(self, *args: str) -> subprocess.Popen[bytes]:
        return self.start("push", *(args or ("pogo", "main")))


def finished(process: subprocess.Popen[bytes]) -> Done:
    output = process.communicate(timeout=120)[0].decode()
    return Done(process.returncode, re.sub(r" *(\x1b\[K)?$", "", output.replace("\r", "\n"), flags=re.M))


def rejected(done: Done) -> bool:
    return done.status == 1 and "(pre-receive hook declined)" in done.output


def in_progress(platform: Installation, path: Path) -> bool:
    """Whether a build waits for this file, which the test makes when it has seen enough."""
    return any(str(path).encode() in t.read_bytes() for t in (platform.state / "transcripts").glob("*.txt"))


def until(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Read the output of a push until these words have come."""
    assert process.stdout
    seen = b""
    while words not in seen:
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece, seen
        seen += piece
    return seen
