"""Control groups of containers, in both layouts of the kernel: separate hierarchies (v1, hybrid) or one (v2).

Each container has a group of ours, which carries its weight and its memory limit and counts what happens
below; LXC makes the payload's group `p` in it. Containers in the background lie one group deeper, and that
group weighs less than any other container: however many they are, together they are the lightest.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from pogo.agent import syscalls

ROOT = Path("/sys/fs/cgroup")
_FAVOUR = "favordynmods"
_SYSTEMD = {"systemd", "unified"}  # in which it, where it runs, keeps its services apart
_USED = {"memory", "pids", "cpu", "cpuacct", "devices", "blkio"} | _SYSTEMD
BACKGROUND_SHARES = 16  # an eighth of the smallest dyno's
_IO_WEIGHTS = ("io.bfq.weight", "io.weight", "blkio.bfq.weight", "blkio.weight")
_IO_BACKGROUND = 10  # of 100 for a group that nobody has set
_CPU_PERIOD = 100_000  # microseconds, in which its share is given; the kernel wants at least a hundredth of it
UNIFIED = (ROOT / "cgroup.controllers").exists()
# v1 counts TCP's buffers in no limit but this one, and without it all containers share the machine's.
TCP_APART = (ROOT / "memory" / "memory.kmem.tcp.limit_in_bytes").exists()


def hierarchies() -> list[Path]:
    return [ROOT] if UNIFIED else [path for path in ROOT.iterdir() if (path / "cgroup.procs").exists()]


def hide_idle_hierarchies() -> None:
    """Gives this process mounts of its own, among them no hierarchy of v1 that neither limits nor counts anything of
    ours: LXC makes no groups in what it does not see. Each costs a boot a hundred calls."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
    used = _USED if Path("/run/systemd/system").exists() else _USED - _SYSTEMD
    for path in hierarchies():
        if not UNIFIED and not path.is_symlink() and not used & {*path.name.split(",")}:
            syscalls.unmount(str(path))


def moves_are_favoured(change: bool = False) -> bool:
    """Whether processes change their group without a wait for all CPUs, as they do at both ends of a container.

    A setting of the whole machine, in any layout, that the hierarchy of v2 holds (Linux 6.0). `change` tries to make
    it so: boots are 5 ms shorter then, for some nanoseconds of each fork.
    """
    for row in Path("/proc/self/mountinfo").read_text().splitlines():
        kind, _, options = row.partition(" - ")[2].split()
        if kind == "cgroup2":
            there = options.split(",")[1:]  # the first one is rw
            if change and _FAVOUR not in there:
                try:
                    syscalls.reconfigure(row.split()[4], [*there, _FAVOUR])
                except OSError:
                    return False  # an older kernel, or not ours to change: it works without
                return True
            return _FAVOUR in there
    return False


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
            _delegate(parent)
            parent.joinpath(parts[depth]).mkdir(exist_ok=True)
        directory = ROOT / group
        _delegate(directory)
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


def _delegate(group: Path) -> None:
    available = (group / "cgroup.controllers").read_text().split()
    wanted = [name for name in ("memory", "pids", "cpu", "io") if name != "io" or name in available]
    (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))


def weigh(group: str, shares: int, background: bool) -> None:
    """Gives `group` (of `memory_group`) its weight. In the background, the group above it is made light.

    Weights count among the groups below one group, so they have to be on ours: LXC's group is alone in it.
    """
    _weigh_cpu(group, shares)
    if background:
        above = str(Path(group).parent)
        _weigh_cpu(above, BACKGROUND_SHARES)
        for hierarchy in hierarchies():
            # Where neither the scheduler of the disk nor the kernel weighs, the class of I/O has to do: see boot.
            for file in (hierarchy / above / name for name in _IO_WEIGHTS):
                if file.exists():
                    file.write_text(str(_IO_BACKGROUND))


def _weigh_cpu(group: str, shares: int) -> None:
    directory = (ROOT if UNIFIED else ROOT / "cpu") / group
    directory.mkdir(parents=True, exist_ok=True)
    if UNIFIED:
        (directory / "cpu.weight").write_text(str(max(1, min(10_000, shares * 100 // 1024))))
    else:
        (directory / "cpu.shares").write_text(str(shares))


def limit_cpu(group: str, percent: int) -> None:
    """Gives all of `group` (of `memory_group`) no more than `percent` of one CPU's time."""
    microseconds = percent * _CPU_PERIOD // 100
    if UNIFIED:
        (ROOT / group / "cpu.max").write_text(f"{microseconds} {_CPU_PERIOD}")
        return
    directory = ROOT / "cpu" / group
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cpu.cfs_period_us").write_text(str(_CPU_PERIOD))
    (directory / "cpu.cfs_quota_us").write_text(str(microseconds))


def refused_forks(group: str) -> int:
    """A descriptor of the payload's `pids.events`; -1 where there is none, or the payload has ended already."""
    try:
        return os.open(_processes_file(group).parent / "p" / "pids.events", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def has_refused(events: int) -> bool:
    """Whether a process was refused so far; `events`: of `refused_forks`. OSError where the group is gone."""
    return any(line.startswith("max ") and line != "max 0" for line in os.pread(events, 4096, 0).decode().splitlines())


def forbid_forks(group: str) -> None:
    """What is in the payload of `group` makes no more processes."""
    with contextlib.suppress(FileNotFoundError):  # the payload has gone
        (_processes_file(group).parent / "p" / "pids.max").write_text("0")


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
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def remove(group: str, patience: float = 2) -> None:
    """Removes `group` and all below it from every hierarchy, where nothing lives in it any more.

    A process that ends is no longer seen in its group, and keeps it busy for a while: it is waited for.
    """
    deadline, pause = time.monotonic() + patience, 0.0
    tops = [hierarchy / group for hierarchy in hierarchies()]
    while (tops := [top for top in tops if top.exists()]) and time.monotonic() < deadline:
        time.sleep(pause)
        for directory in [place for top in tops for place, _, _ in os.walk(top, topdown=False)]:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        pause = 0.01
