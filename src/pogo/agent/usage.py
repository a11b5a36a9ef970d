"""What containers use: those in the background looked at by their monitors, the disk of all others by the agent."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pogo.agent import cgroups, records, syscalls
from pogo.agent.boot import Boot
from pogo.agent.installation import Installation

_PERIOD = 0.25  # seconds between two looks
_MEASURE_AFTER = 5.0
_NEVER = float("inf")

INODE_BYTES = 16 << 10  # a disk has about one inode for so many bytes
DISK_SECONDS = 5.0
LATEST_SECONDS = 30.0
DISK_STEP = 32 << 20


class Usage:
    """peak: bytes of memory, the most that was seen. exceeded: `pids`, `disk`, `reserve` or empty.

    next: when to `look`, by the monotonic clock.
    """

    def __init__(self, boot: Boot) -> None:
        self._group = boot.group
        self._upper = boot.installation.scratch / boot.record.id / "upper"
        self._disk = boot.record.disk
        self._reserve = boot.reserve
        self._measure_at = time.monotonic() + _MEASURE_AFTER if boot.record.disk else _NEVER
        self._measuring: tuple[int, int, float] | None = None  # the child's pid, our end of its pipe, since when
        self._forks = cgroups.refused_forks(self._group)
        self.peak = 0
        self.exceeded = ""
        self.next = 0.0

    def look(self) -> bool:
        """Whether the container has to be killed, since it uses too much of the disk. Does nothing before `next`."""
        now = time.monotonic()
        if now < self.next:
            return False
        self.next = now + _PERIOD
        self.listen()
        try:
            self.peak = max(self.peak, cgroups.memory_used(self._group))
        except OSError:
            return False  # it is ending
        if self._reserve and _free(self._upper) < self._reserve:
            self.exceeded = "reserve"
        elif self._measured(now) > self._disk > 0:
            self.exceeded = "disk"
        return self.exceeded in ("disk", "reserve")

    def listen(self) -> None:
        """Whether a process was refused. To be called when there is output, too: who is refused one says so, and
        the count goes with the last process. The kernel's v1 signals nothing here."""
        if self._forks < 0:
            return
        try:
            refused = cgroups.has_refused(self._forks)
        except OSError:
            self._deaf()  # it is ending
            return
        if refused:
            self.exceeded = self.exceeded or "pids"
            self._deaf()

    def end(self) -> None:
        self._deaf()
        self.next = _NEVER
        if self._measuring is not None:
            pid, pipe, _ = self._measuring
            os.close(pipe)
            os.waitpid(pid, 0)
            self._measuring = None

    def _deaf(self) -> None:
        if self._forks >= 0:
            os.close(self._forks)
            self._forks = -1

    def _measured(self, now: float) -> int:
        """Bytes written so far, when a child has just counted them, else 0. A twentieth of the time is spent on it."""
        if self._measuring is None:
            if now >= self._measure_at:
                self._measuring = (*_measure(self._upper), now)
            return 0
        pid, pipe, since = self._measuring
        try:
            counted = int(os.read(pipe, 32) or b"0")
        except BlockingIOError:
            return 0
        os.close(pipe)
        os.waitpid(pid, 0)
        self._measuring = None
        self._measure_at = now + max(_MEASURE_AFTER, 20 * (now - since))
        return counted


def _free(path: Path) -> int:
    there = os.statvfs(path)
    return there.f_bavail * there.f_frsize


def _measure(directory: Path) -> tuple[int, int]:
    """Counts in a child, in the background: its pid, and a pipe that has the number in the end."""
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        try:
            os.nice(19)
            syscalls.idle_io()
            os.write(write, str(used([directory]).get(directory, 0)).encode())
        finally:
            os._exit(0)
    os.close(write)
    return pid, read


def used(directories: Sequence[Path]) -> dict[Path, int]:
    """Bytes that what lies below directories takes. A file counts as INODE_BYTES at least; what is gone is left out."""
    found: dict[Path, int] = {}
    for way, unit in (("--block-size=1", 1), ("--inodes", INODE_BYTES)):
        args = ["du", "--summarize", "--one-file-system", "--null", way, "--files0-from=-"]
        names = b"".join(os.fsencode(path) + b"\0" for path in directories)
        said = subprocess.run(args, input=names, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        for line in said.split(b"\0")[:-1]:
            number, _, name = line.partition(b"\t")
            path = Path(os.fsdecode(name))
            found[path] = max(found.get(path, 0), int(number) * unit)
    return found


def end_those_that_fill(installation: Installation, running: list[records.Record]) -> None:
    """Has the monitors end those that wrote more than they may. A monitor that is gone has nothing to end."""
    os.nice(19)
    syscalls.idle_io()
    layers = {
        installation.scratch / record.id / "upper": record
        for record in running
        if record.disk and not record.background
    }
    for layer, taken in used([*layers]).items():
        if taken > layers[layer].disk:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as monitor:
                monitor.connect(str(records.directory(installation, layers[layer].id) / "sock"))
                monitor.sendall(b'{"op": "stop", "grace": 0, "exceeded": "disk"}\n')
                monitor.recv(100)


class Disk:
    """Watches the layers of all dynos from the agent, so that the monitors of a thousand idle ones sleep.

    They are counted by a child when the disk has become fuller since the last time, and twice a minute, since what
    others free meanwhile may hide that; for a twentieth of the time at most.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._seen = self._taken()
        self._pid = 0
        self._since = self._latest = self.next = time.monotonic() + DISK_SECONDS

    def _taken(self) -> int:
        there = os.statvfs(self._scratch)
        inodes = (there.f_files - there.f_ffree) * INODE_BYTES
        return (there.f_blocks - there.f_bfree) * there.f_frsize + inodes

    def is_due(self) -> bool:
        """Whether the layers are to be counted now: then call `begun`, and `ended` with that child."""
        now = time.monotonic()
        if self._pid or now < self.next:
            return False
        self.next = now + DISK_SECONDS
        taken = self._taken()
        self._seen = min(self._seen, taken)
        return taken - self._seen >= DISK_STEP or now >= self._latest

    def begun(self, pid: int) -> None:
        self._pid, self._since, self._seen = pid, time.monotonic(), self._taken()

    def ended(self, pid: int) -> None:
        if pid == self._pid:
            now = time.monotonic()
            self._pid, self.next = 0, now + max(DISK_SECONDS, 20 * (now - self._since))
            self._latest = now + LATEST_SECONDS
