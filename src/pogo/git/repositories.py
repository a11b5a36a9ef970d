"""The bare repositories of the apps, `<state>/git/<app id>.git`, and the git configuration they are used with."""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pogo.disk import full_disk_is_an_error, sync_directory
from pogo.errors import CommandFailed, StorageFull
from pogo.git import hook
from pogo.process import TIMEOUT, run
from pogo.settings import Settings

LEAST_FREE = 16 << 20  # bytes for a push to be worth its beginning
LONGEST_PACK = 3600.0
HOOKS = ("pre-receive", "post-receive")
# Attributes of the commit must not hide files from the build, nor change them.
ATTRIBUTES = "* -export-ignore -export-subst\n"
# What a killed git leaves. Nothing else makes these names.
LEFTOVERS = (
    "*.lock",
    "refs/**/*.lock",
    "objects/info/**/*.lock",
    "objects/pack/*.lock",
    "objects/pack/tmp_*",
    "objects/pack/.tmp-*",
    "objects/tmp_objdir-*",
    "objects/incoming-*",
    "packed-refs.new",
    "gc.pid",
)


def environment(hooks: Path) -> dict[str, str]:
    """The whole environment for git: no configuration of the machine or of a user reaches it."""
    config = {
        "core.hooksPath": str(hooks),
        "core.fsync": "committed,reference",
        # Larger files are streamed, never held in memory whole.
        "core.bigFileThreshold": "8m",
        "http.receivepack": "true",
        "receive.denyDeletes": "false",  # rules.git_refs decides, and says why
        "receive.denyDeleteCurrent": "ignore",
        "receive.denyNonFastForwards": "false",
        "receive.maxInputSize": "4g",
        "receive.unpackLimit": "1",  # always one pack: streamed to the disk, one fsync
        "receive.autogc": "true",
        "gc.autoDetach": "false",
        "pack.windowMemory": "64m",
        "pack.threads": "2",
    }
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": str(len(config)),
    }
    for number, (key, value) in enumerate(config.items()):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return env


@dataclass(frozen=True)
class Repositories:
    """All methods block. They raise StorageFull where the disk is full, else CommandFailed and OSError."""

    root: Path
    env: dict[str, str]

    @classmethod
    def open(cls, settings: Settings) -> Repositories:
        """Make the directory and the hooks, and clear away repositories that were never finished.

        Only the one daemon of the state directory may call it, at its start.
        """
        root, hooks = settings.git_dir, settings.run_dir / "git-hooks"
        with full_disk_is_an_error():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for unfinished in root.glob(".new-*"):
                shutil.rmtree(unfinished)
            hooks.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in HOOKS:
                _write_hook(hooks / name, [sys.executable, "-I", "-S", hook.__file__, name])
        return cls(root, environment(hooks))

    @classmethod
    def existing(cls, settings: Settings) -> Repositories:
        """For anybody else than that daemon, beside it."""
        return cls(settings.git_dir, environment(settings.run_dir / "git-hooks"))

    def path(self, app_id: str) -> Path:
        return self.root / f"{app_id}.git"

    def ensure(self, app_id: str) -> Path:
        """The app's repository, made whole or not at all if there was none, whoever else makes it too."""
        path = self.path(app_id)
        if path.exists():
            return path
        new = self.root / f".new-{app_id}-{secrets.token_hex(4)}"
        try:
            with full_disk_is_an_error():
                self._git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(new))
                (new / "info").mkdir(exist_ok=True)
                (new / "info" / "attributes").write_text(ATTRIBUTES)
                (new / "config").chmod(0o600)
                for file in ("HEAD", "config", "info/attributes"):
                    _sync(new / file)
                sync_directory(new)
                if not _renamed(new, path):
                    shutil.rmtree(new)
                sync_directory(self.root)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return path

    def check_space(self) -> None:
        """Raises StorageFull before git does, which would not say so."""
        disk = os.statvfs(self.root)
        if disk.f_bavail * disk.f_frsize < LEAST_FREE:
            raise StorageFull

    @contextmanager
    def held_for_push(self, app_id: str) -> Iterator[int]:
        """A file descriptor for git to inherit. While any process has it, no leftovers are cleared away.

        The first push after a quiet time clears what a killed git left: locks that would stop it for
        ever, and half a pack. A git whose daemon was killed still holds the descriptor while it lives.
        """
        path = self.path(app_id)
        with full_disk_is_an_error():
            fd = os.open(path / "pogo.held", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # another push is in progress
            else:
                for pattern in LEFTOVERS:
                    for left in path.glob(pattern):
                        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield fd
        finally:
            os.close(fd)

    def branch(self, app_id: str, name: str) -> str | None:
        """The commit id that a branch is at, None where there is no such branch."""
        ref = f"refs/heads/{name}"
        return self._git("--git-dir", str(self.path(app_id)), "for-each-ref", "--format=%(objectname)", ref) or None

    def show_branch(self, app_id: str, name: str) -> None:
        """Make `name` the branch that a clone checks out."""
        self._git("--git-dir", str(self.path(app_id)), "symbolic-ref", "HEAD", f"refs/heads/{name}")

    def size(self, app_id: str) -> int:
        """Bytes on disk."""
        size = 0
        for directory, _, names in os.walk(self.path(app_id)):
            for name in names:
                try:
                    size += os.lstat(os.path.join(directory, name)).st_size
                except FileNotFoundError:
                    continue  # git removes its temporary files meanwhile
        return size

    def pack(self, app_id: str) -> None:
        """Everything in one pack, beside pushes, too. What nothing has named for two weeks goes, as git has it."""
        with self.held_for_push(app_id) as held:
            self._git("--git-dir", str(self.path(app_id)), "gc", "--quiet", timeout=LONGEST_PACK, inherit=(held,))

    def _git(self, *args: str, timeout: float = TIMEOUT, inherit: Sequence[int] = ()) -> str:
        try:
            return run("git", *args, env=self.env, timeout=timeout, inherit=inherit).strip()
        except CommandFailed as error:
            if "No space left" in error.stderr or "quota exceeded" in error.stderr:
                raise StorageFull from error
            raise


def _write_hook(path: Path, command: list[str]) -> None:
    text = f"#!/bin/sh\nexec {shlex.join(command)}\n"
    if path.exists() and path.read_text() == text:
        return  # a full disk has no room to write it again
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    temporary.chmod(0o700)
    temporary.rename(path)


def _renamed(new: Path, path: Path) -> bool:
    """False: another push has made it first."""
    try:
        new.rename(path)
    except OSError:
        if not path.exists():
            raise
        return False
    return True


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
