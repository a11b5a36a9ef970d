"""What containers of this machine use, read from their control groups: that needs no privilege, and no agent."""

from __future__ import annotations

from pathlib import Path

from pogo.agent import cgroups
from pogo.rules.usage import Usage


def read(cgroup: str, background: bool) -> dict[str, Usage]:
    """By container id: of those in the background, or of all others. One that ends meanwhile is missing.

    cgroup: the installation's group.
    """
    found = {}
    top = (cgroups.ROOT if cgroups.UNIFIED else cgroups.ROOT / "memory") / cgroup / "c"
    for directory in (top / ".background" if background else top).glob("[!.]*"):
        if not directory.is_dir():
            continue
        try:
            found[directory.name] = _unified(directory) if cgroups.UNIFIED else _separate(directory)
        except (OSError, ValueError):
            continue  # its group goes while we read
    return found


def _unified(directory: Path) -> Usage:
    memory = _table(directory / "memory.stat")
    swap = directory / "memory.swap.current"
    return Usage(
        memory=memory["anon"] + memory["shmem"],
        cache=memory["file"] - memory["shmem"],
        swap=int(swap.read_text()) if swap.exists() else 0,
        cpu=_table(directory / "cpu.stat")["usage_usec"] / 1e6,
        processes=int((directory / "pids.current").read_text()),
        faults=memory["pgmajfault"],
    )


def _separate(directory: Path) -> Usage:
    memory = _table(directory / "memory.stat")
    group = directory.relative_to(cgroups.ROOT / "memory")
    shared = memory["total_shmem"]
    return Usage(
        memory=memory["total_rss"] + shared,
        cache=memory["total_cache"] - shared,
        swap=memory.get("total_swap", 0),
        cpu=int((cgroups.ROOT / "cpuacct" / group / "cpuacct.usage").read_text()) / 1e9,
        processes=int((cgroups.ROOT / "pids" / group / "p" / "pids.current").read_text()),
        faults=memory["total_pgmajfault"],
    )


def _table(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}
