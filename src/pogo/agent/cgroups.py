"""Control groups of containers, in both layouts of the kernel: separate hierarchies (v1, hybrid) or one (v2).

Each container has a group `pogo-<tag>/<id>` of ours, which carries the memory limit and counts what
happens below; LXC makes the payload's group `p` in it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
UNIFIED = (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    return [ROOT] if UNIFIED else [path for path in ROOT.iterdir() if (path / "cgroup.procs").exists()]


def _processes_file(group: str) -> Path:
    return (ROOT if UNIFIED else ROOT / "pids") / group / "cgroup.procs"


def memory_group(group: str, limit: int) -> int:
    """Makes `group` with a memory limit in bytes, without swap; a descriptor that is readable after an OOM kill.

    v1: an eventfd, readable. v2: `memory.events`, which signals POLLPRI at any change: see `oom_killed`.
    """
    if UNIFIED:
        parts = Path(group).parts
        for depth in range(len(parts)):
            parent = ROOT.joinpath(*parts[:depth])
            (parent / "cgroup.subtree_control").write_text("+memory +pids +cpu")
            parent.joinpath(parts[depth]).mkdir(exist_ok=True)
        directory = ROOT / group
        (directory / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        (directory / "memory.max").write_text(str(limit))
        swap = directory / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        return os.open(directory / "memory.events", os.O_RDONLY | os.O_CLOEXEC)
    directory = ROOT / "memory" / group
    directory.mkdir(parents=True)
    (directory / "memory.limit_in_bytes").write_text(str(limit))
    both = directory / "memory.memsw.limit_in_bytes"
    if both.exists():
        both.write_text(str(limit))
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    control = os.open(directory / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
    (directory / "cgroup.event_control").write_text(f"{event} {control}")
    os.close(control)
    return event


def oom_killed(event: int) -> bool:
    """Whether the group of this descriptor (of `memory_group`) has run out of memory by now."""
    if UNIFIED:
        lines = os.pread(event, 4096, 0).decode().splitlines()
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)
    try:
        return os.eventfd_read(event) > 0
    except BlockingIOError:
        return False


def processes(group: str) -> list[int]:
    """The pids in `group` and below it."""
    found: list[int] = []
    top = _processes_file(group).parent
    for directory, _, _ in os.walk(top):
        try:
            found += [int(line) for line in Path(directory, "cgroup.procs").read_text().split()]
        except OSError:
            continue  # the group was removed meanwhile
    return found


def kill(group: str, patience: float = 5) -> bool:
    """Kills everything in `group`; False where something is still there after `patience` seconds."""
    deadline = time.monotonic() + patience
    while remaining := processes(group):
        for pid in remaining:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def remove(group: str) -> None:
    """Removes `group` and all below it from every hierarchy, where nothing lives in it any more."""
    for hierarchy in hierarchies():
        for directory, _, _ in os.walk(hierarchy / group, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                continue  # a process is about to leave it; `cleanup` removes it later
