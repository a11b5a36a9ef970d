"""What a container in the background uses, looked at by its monitor: memory, processes, space on the disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pogo.agent import cgroups, syscalls
from pogo.agent.boot import Boot

_PERIOD = 0.25  # seconds between two looks
_MEASURE_AFTER = 5.0
_NEVER = float("inf")


class Usage:
    """peak: bytes of memory, the most that was seen. exceeded: `pids`, `disk`, `reserve` or empty.

    next: when to `look`, by the monotonic clock.
    """

    def __init__(self, boot: Boot) -> None:
        self._group = boot.group
        self._upper = boot.installation.scratch / boot.record.id / "upper"
        self._disk = boot.disk
        self._reserve = boot.reserve
        self._measure_at = time.monotonic() + _MEASURE_AFTER if boot.disk else _NEVER
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
            os.write(write, str(_used(directory)).encode())
        finally:
            os._exit(0)
    os.close(write)
    return pid, read


def _used(directory: Path) -> int:
    """Bytes that the files below a directory take; one with several names counts once."""
    total, seen = 0, set()
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                there = os.lstat(os.path.join(place, name))
            except OSError:
                continue  # removed meanwhile
            if there.st_nlink > 1:
                if there.st_ino in seen:
                    continue
                seen.add(there.st_ino)
            total += there.st_blocks * 512
    return total
