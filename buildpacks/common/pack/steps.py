"""Output, commands and config vars of a build."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

NOT_EXPORTED = {"PATH", "HOME", "GIT_DIR", "CPATH", "CPPATH", "LD_PRELOAD", "LIBRARY_PATH", "LD_LIBRARY_PATH"}
NOT_EXPORTED |= {"STACK", "REQUEST_ID", "DYNO", "JAVA_OPTS", "IFS"}


class BuildFailed(Exception):
    """The build cannot go on; the message says why and what to do."""


def exit_status(work: Callable[[], None]) -> int:
    """That of bin/compile: 0, or 1 after the reason of a BuildFailed was shown."""
    try:
        work()
    except BuildFailed as failure:
        print(flush=True)
        warning(str(failure))
        return 1
    return 0


def topic(text: str) -> None:
    print(f"-----> {text}", flush=True)


def detail(text: str) -> None:
    print(f"       {text}".rstrip(), flush=True)


def warning(text: str) -> None:
    for line in text.splitlines():
        print(f" !     {line}".rstrip(), flush=True)


def config_vars(env_dir: Path, *hidden: str) -> dict[str, str]:
    """Config vars that a build may see; those that would break its tools, and `hidden`, are left out."""
    found = {}
    for path in env_dir.iterdir() if env_dir.is_dir() else ():
        if path.is_file() and path.name not in NOT_EXPORTED and path.name not in hidden:
            found[path.name] = path.read_text(errors="surrogateescape")
    return found


def run(
    command: Sequence[str | Path],
    cwd: Path,
    env: Mapping[str, str],
    printed: list[bytes] | None = None,
    hidden: bytes = b"",
) -> int:
    """Run a command with its output and errors indented by seven spaces; returns its status.

    printed: gets the lines that it printed. hidden: lines with these bytes are not shown.
    """
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if hidden and hidden in line:
                continue
            sys.stdout.buffer.write((b"       " + line).rstrip() + b"\n")
            sys.stdout.buffer.flush()
            if printed is not None:
                printed.append(line)
    return process.returncode


def hook(name: str, build_dir: Path, env: Mapping[str, str]) -> None:
    """Run the app's own bin/pre_compile or bin/post_compile, where it has one."""
    script = build_dir / "bin" / name
    if script.is_file():
        topic(f"Running {name} hook")
        script.chmod(script.stat().st_mode | 0o755)
        if run([script], build_dir, env):
            raise BuildFailed(f"The hook bin/{name} failed.")
