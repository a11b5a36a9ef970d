"""What containers write to the disk: nothing else says how much that is, and only root may look."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pogo.agent import records, syscalls
from pogo.agent.installation import Installation

INODE_BYTES = 16 << 10  # a disk has about one inode for so many bytes
DISK_SECONDS = 5.0
LATEST_SECONDS = 30.0
DISK_STEP = 32 << 20


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
    layers = {installation.scratch / record.id / "upper": record for record in running if record.disk}
    for layer, taken in used([*layers]).items():
        if taken > layers[layer].disk:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as monitor:
                monitor.connect(str(records.directory(installation, layers[layer].id) / "sock"))
                monitor.sendall(b'{"op": "stop", "grace": 0, "exceeded": "disk"}\n')
                monitor.recv(100)


class Disk:
    """Watches all layers from the agent, so that the monitors of a thousand idle dynos sleep.

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
