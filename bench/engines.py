"""docker and podman, where they are installed: the same files as an image of theirs, which is removed afterwards.

Nothing is asked of a registry. They get the network of the machine, the fastest that they have, and in a row of its
own, where their daemon can, a network and a published port, as a dyno has. Of the limits of a dyno they get those that
cost them nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

IMAGE = "localhost/pogo-bench"
LABEL = "pogo-bench"
RUN = ("run", "--rm", f"--label={LABEL}", "--pull=never", "--ulimit=nproc=4096")
NETWORKS = {"run": ("--network=host",), "run -p": ("-p", "127.0.0.1:{port}:{port}")}
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
    """What to put before a command, by name of the row, `{port}` being its port; for what cannot be measured the
    reason is printed."""
    ways: dict[str, tuple[str, ...]] = {}
    used: list[tuple[str, ...]] = []
    try:
        for name, programs in ENGINES.items():
            why = "it is not installed"
            for program in programs if shutil.which(name) else ():
                used.append(program)
                why = _imported(program, root)
                for network, options in NETWORKS.items() if not why else ():
                    before = (*program, *RUN, f"--ulimit=nofile={os.sysconf('SC_OPEN_MAX')}", *options, IMAGE)
                    failed = _said(*(word.format(port=_free_port()) for word in before), "/bin/true")
                    if not failed:
                        ways[f"{name} {network}"] = before
                    elif network == "run":
                        why = failed
                        break
                    else:
                        print(f"  {name} {network} is left out: {failed}")
                if not why:
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


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


def _said(*command: str, stdin: IO[bytes] | None = None) -> str:
    """The last line of what a command that failed had to say; empty where it worked."""
    done = subprocess.run(
        command,
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ""
    return next(reversed(done.stderr.split("\n\n")[0].strip().splitlines()), f"it ended with {done.returncode}")
