"""A buildpack on this build's own disk: fetched, and its four scripts called as the contract says."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pogo.build.failures import AppFault, CompileFailed, DiskFull, PlatformFault, disk_is_full
from pogo.rules import buildpacks
from pogo.rules.buildpacks import Archive, Bundled, Git

_TAIL = 64 << 10
_QUIET_RELEASE = re.compile(rb"\s*(?:---)?\s*(?:\{\s*\})?\s*")
_YAML_TO_JSON = (
    "require 'yaml'; require 'json'; "
    "puts JSON.generate(YAML.safe_load($stdin.read, permitted_classes: [Symbol], aliases: true))"
)


@dataclass(frozen=True)
class Pack:
    """given: as the user wrote it. root: a fresh, writable copy of its files."""

    given: str
    root: Path

    @property
    def name(self) -> str:
        return buildpacks.display_name(self.given)

    @property
    def export(self) -> Path:
        """Shell script that a pack may write to change the environment of the packs after it."""
        return self.root / "export"


@dataclass(frozen=True)
class Workspace:
    """The three directories that scripts get, and the base environment."""

    build_dir: Path
    cache_dir: Path
    env_dir: Path
    env: Mapping[str, str]

    @property
    def arguments(self) -> list[str]:
        return [str(self.build_dir), str(self.cache_dir), str(self.env_dir)]


def fetch(given: str, root: Path, bundled: Path, env: Mapping[str, str]) -> Pack:
    """Bring a pack to the new directory `root`. Raises AppFault (unknown, unreachable, not a pack)."""
    try:
        source = buildpacks.resolve(given)
    except buildpacks.UnknownBuildpack as error:
        raise AppFault(str(error)) from error
    root.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Bundled):
        if not (bundled / source.directory).is_dir():
            raise PlatformFault(f"The platform's own buildpack {given!r} is not installed here.")
        shutil.copytree(bundled / source.directory, root)  # links lead to what packs share
    elif isinstance(source, Git):
        _clone(source, root, env)
    else:
        _download(source, root, env)
    for name in ("detect", "compile"):
        if not (root / "bin" / name).is_file():
            raise AppFault(f"{given} is not a buildpack: it has no bin/{name}.")
    for script in (root / "bin").iterdir():
        if script.is_file():
            script.chmod(script.stat().st_mode | 0o755)
    return Pack(given, root)


def _git(root: Path, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    slow = ["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30", "-c", "advice.detachedHead=false"]
    quiet = {**env, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    command = ["git", *slow, "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=quiet)


def _clone(source: Git, root: Path, env: Mapping[str, str]) -> None:
    """Only the wanted commit where the server gives it by name; else everything, for an abbreviated id."""
    root.mkdir()
    steps = [_git(root, env, "init", "--quiet")]
    steps.append(_git(root, env, "fetch", "--quiet", "--depth=1", source.url, source.ref or "HEAD"))
    wanted = "FETCH_HEAD"
    if steps[-1].returncode and source.ref:
        everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        steps[-1] = _git(root, env, "fetch", "--quiet", source.url, *everything)
        wanted = source.ref
    steps.append(_git(root, env, "checkout", "--quiet", wanted))
    if (root / ".gitmodules").is_file():
        steps.append(_git(root, env, "submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"))
    for step in steps:
        if step.returncode:
            raise _unreachable(source.url, step.stderr.decode(errors="replace"), root)


def _download(source: Archive, root: Path, env: Mapping[str, str]) -> None:
    root.mkdir()
    file = root.with_suffix(".tgz")
    command = ["curl", "-fsSL", "--connect-timeout", "20", "--speed-limit", "1000", "--speed-time", "30"]
    steps = [[*command, "-o", str(file), source.url], ["tar", "-xzf", str(file), "-C", str(root), "--no-same-owner"]]
    for step in steps:
        done = subprocess.run(step, capture_output=True, check=False, env=dict(env))
        if done.returncode:
            raise _unreachable(source.url, done.stderr.decode(errors="replace"), root)
    file.unlink()


def _unreachable(url: str, why: str, root: Path) -> AppFault:
    if disk_is_full(root, why.encode()):
        return DiskFull()
    reason = "\n".join(why.strip().splitlines()[-6:])
    return AppFault(f"Could not fetch the buildpack {url}:\n{reason}", "Check its address, then push again.")


def detect(pack: Pack, space: Workspace) -> tuple[bool, str]:
    """(does it match, its display name; when it does not match, its whole output)."""
    command = [str(pack.root / "bin/detect"), str(space.build_dir)]
    done = _capture(command, pack.root, space.env)
    if done.returncode:
        return False, (done.stdout + done.stderr).decode(errors="replace").strip()
    return True, done.stdout.decode(errors="replace").strip() or pack.name


def compile_app(pack: Pack, display: str, earlier: Sequence[Pack], space: Workspace) -> None:
    """Run bin/compile, its output passed on as it comes. Raises CompileFailed, DiskFull."""
    exports = [str(other.export) for other in earlier if other.export.is_file()]
    script = 'n=$1; shift; while [ "$n" -gt 0 ]; do . "$1"; shift; n=$((n - 1)); done; exec bin/compile "$@"'
    command = ["/bin/bash", "-c", script, "compile", str(len(exports)), *exports, *space.arguments]
    status, tail = pass_through(command, pack.root, space.env)
    if not status:
        return
    if disk_is_full(space.build_dir, tail):
        raise DiskFull
    killed = "The buildpack was killed: it used more memory than a build may." if status in (-9, 137) else ""
    raise CompileFailed(display, killed)


def report(pack: Pack, space: Workspace) -> str:
    """Output of bin/report, for metrics; its failure does not matter (contract), nor does its absence."""
    if not (pack.root / "bin/report").is_file():
        return ""
    done = _capture([str(pack.root / "bin/report"), *space.arguments], pack.root, space.env)
    return "" if done.returncode else done.stdout[:10_000].decode(errors="replace")


def release(pack: Pack, display: str, space: Workspace) -> dict[str, object]:
    """The map that bin/release prints; empty where there is none. Raises CompileFailed."""
    if not (pack.root / "bin/release").is_file():
        return {}
    done = _capture([str(pack.root / "bin/release"), str(space.build_dir)], pack.root, space.env)
    if done.returncode:
        raise CompileFailed(display, f"bin/release of {pack.name} failed:\n{done.stderr.decode(errors='replace')}")
    if _QUIET_RELEASE.fullmatch(done.stdout):
        return {}
    ruby = ["/usr/bin/ruby", "-e", _YAML_TO_JSON]
    parsed = subprocess.run(ruby, input=done.stdout, capture_output=True, check=False, env={"LANG": "C.UTF-8"})
    found = json.loads(parsed.stdout) if not parsed.returncode else None
    if not isinstance(found, dict):
        shown = done.stdout.decode(errors="replace").strip()
        raise CompileFailed(display, f"bin/release of {pack.name} did not print a YAML map:\n{shown}")
    return found


def _capture(command: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:  # no such interpreter
        return subprocess.CompletedProcess(command, 126, b"", f"{command[0]}: {error.strerror}\n".encode())


def pass_through(command: list[str], cwd: Path, env: Mapping[str, str]) -> tuple[int, bytes]:
    """Run a command; its output and errors go to our output in their order, piece by piece.

    (exit status, negative for a signal; the last 64 KB it printed). Ends with the command even
    when something it left in the background still holds the pipe.
    """
    reader, writer = os.pipe()
    with subprocess.Popen(
        command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=writer, stderr=writer
    ) as process:
        os.close(writer)
        ended = os.pidfd_open(process.pid)
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(ended, select.POLLIN)
        tail = b""
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            data = os.read(reader, 1 << 16) if reader in ready else b""
            tail = (tail + data)[-_TAIL:]
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            if not data and (ended in ready or reader in ready):
                break
        status = process.wait()
    os.close(reader)
    os.close(ended)
    return status, tail
