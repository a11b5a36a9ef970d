"""The scripts of a buildpack, called as the contract says."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pogo.build.failures import CompileFailed, DiskFull, disk_is_full
from pogo.build.fetch import Pack

_TAIL = 64 << 10
_QUIET_RELEASE = re.compile(rb"\s*(?:---)?\s*(?:\{\s*\})?\s*")
_YAML_TO_JSON = (
    "require 'yaml'; require 'json'; "
    "puts JSON.generate(YAML.safe_load($stdin.read, permitted_classes: [Symbol], aliases: true))"
)


@dataclass(frozen=True)
class Workspace:
    """The three directories that scripts get, and the base environment. memory_mb: the build's limit, or 0."""

    build_dir: Path
    cache_dir: Path
    env_dir: Path
    env: Mapping[str, str]
    memory_mb: int = 0

    @property
    def arguments(self) -> list[str]:
        return [str(self.build_dir), str(self.cache_dir), str(self.env_dir)]


def detect(pack: Pack, space: Workspace) -> tuple[bool, str]:
    """(does it match, its display name; when it does not match, its whole output)."""
    command = [str(pack.root / "bin/detect"), str(space.build_dir)]
    done = _capture(command, pack.root, space.env)
    if done.returncode:
        return False, (done.stdout + done.stderr).decode(errors="replace").strip()
    shown = done.stdout.decode(errors="replace").strip().splitlines()
    return True, shown[0] if shown else pack.name


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
    raise CompileFailed(display, killed(space) if status in (-9, 137) else "")


def killed(space: Workspace) -> str:
    limit = f"the {space.memory_mb} MB" if space.memory_mb else "the memory"
    return (
        f"A process of the build was killed: it needs more than {limit} that a build may use.\n"
        "The operator sets this limit (POGO_BUILD_MEMORY_MB)."
    )


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
