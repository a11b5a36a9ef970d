"""The one way to run a command of the host to its end. Arguments are lists, never shell strings."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pogo.errors import CommandFailed

TIMEOUT = 60.0


def run(
    *args: str | Path,
    input: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    inherit: Sequence[int] = (),
) -> str:
    """Run a command and return what it wrote to stdout, as text. It blocks: call it in a thread.

    env: the whole environment (default: ours). timeout: seconds. inherit: file descriptors. Raises CommandFailed,
    with the last lines of stderr, when it exits with another status than 0, cannot be started, or takes too long.
    """
    command = [str(arg) for arg in args]
    try:
        done = subprocess.run(
            command, input=input, cwd=cwd, env=env, timeout=timeout, pass_fds=inherit, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(command, -1, f"it did not end within {timeout:g} s") from error
    except OSError as error:
        raise CommandFailed(command, 127, str(error)) from error
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")
