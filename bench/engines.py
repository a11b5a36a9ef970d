"""docker and podman, where they are installed: the same files as an image of theirs, which is removed afterwards.

Nothing is asked of a registry. They get the network of the machine, the fastest that they have; of the limits of a dyno
they get those that cost them nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = "localhost/pogo-bench"
LABEL = "pogo-bench"
RUN = ("run", "--rm", f"--label={LABEL}", "--network=host", "--pull=never", "--ulimit=nproc=4096")
# The runtime that a machine's podman has may not know its layout of control groups; there runc often does.
ENGINES: dict[str, tuple[tuple[str, ...], ...]] = {
    "docker": (("docker",),),
    "podman": tuple(
        ("podman", "--cgroup-manager=cgroupfs", "--events-backend=file", *runtime)
        for runtime in ((), ("--runtime=runc",))
    ),
}


@contextmanager
def commands(root: Path) -> Iterator[dict[str, tuple[str, ...]]]:
    """What to put before a command, by name of the row; for what cannot be measured the reason is printed."""
    ways: dict[str, tuple[str, ...]] = {}
    used: list[tuple[str, ...]] = []
    try:
        for name, programs in ENGINES.items():
            why = "it is not installed"
            for program in programs if shutil.which(name) else ():
                used.append(program)
                before = (*program, *RUN, f"--ulimit=nofile={os.sysconf('SC_OPEN_MAX')}", IMAGE)
                why = _imported(program, root) or _said(*before, "/bin/true")
                if not why:
                    ways[f"{name} run"] = before
                    break
            if why:
                print(f"  {name} is left out: {why}")
        yield ways
    finally:
        for program in used:
            left = subprocess.run(
                (*program, "ps", "-aq", f"--filter=label={LABEL}"), capture_output=True, text=True, check=False
            )
            if left.stdout.split():
                _said(*program, "rm", "--force", *left.stdout.split())
            _said(*program, "rmi", "--force", IMAGE)


def _imported(program: tuple[str, ...], root: Path) -> str:
    """What went wrong; empty where the image is there."""
    if not _said(*program, "image", "inspect", IMAGE):
        return ""
    packed = ("tar", "-C", str(root), "--one-file-system", "-c", ".")
    with subprocess.Popen(packed, stdout=subprocess.PIPE) as packing:
        try:
            return _said(*program, "import", "-", IMAGE, stdin=packing.stdout)
        finally:
            packing.kill()


def _said(*command: str, stdin: object = None) -> str:
    """The last line of what a command that failed had to say; empty where it worked."""
    done = subprocess.run(
        command,
        stdin=stdin or subprocess.DEVNULL,  # type: ignore[arg-type]
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    return next(reversed(done.stderr.split("\n\n")[0].strip().splitlines()), f"it ended with {done.returncode}")
