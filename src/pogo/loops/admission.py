"""Lets a build begin when the machine has memory and space for it, so that what runs is not hurt."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pogo.errors import NotFound, PogoError
from pogo.loops.pruning import free_caches
from pogo.model import Build
from pogo.rules import admission, build_ends
from pogo.rules.admission import Machine
from pogo.services.garbage import CACHES
from pogo.services.platform import Platform

log = structlog.get_logger()
PAUSE = 2.0
PATIENCE = 3600.0
PRESSURE = Path("/proc/pressure/memory")


def observe(place: Path) -> Machine:
    """This machine; the disk is that of `place`."""
    available, total = admission.parse_memory(Path("/proc/meminfo").read_text())
    try:
        pressure = admission.parse_pressure(PRESSURE.read_text())
    except OSError:
        pressure = None  # a kernel without PSI, or with psi=0
    there = os.statvfs(place)
    return Machine(pressure, available, total, there.f_bavail * there.f_frsize)


@dataclass
class Admission:
    """others: whether other builds run, which may free what is missing. machine: tests put another in its place."""

    platform: Platform
    others: Callable[[], bool]
    machine: Callable[[], Machine] | None = None
    patience: float = PATIENCE
    pause: float = field(default=PAUSE)

    async def admit(self, build: Build) -> str:
        """Return when the build may begin: empty, or why it never will. Tells the pusher what it waits for."""
        clock = asyncio.get_running_loop().time
        deadline, told = clock() + self.patience, ""
        while True:
            lacks, hopeless = await asyncio.to_thread(self._lacks, build)
            if not lacks or hopeless or clock() > deadline:
                return lacks
            kind = lacks.partition("(")[0]
            if kind != told:
                told = kind
                self.platform.transcripts.append(build.id, build_ends.notice(f"{lacks} This build waits."), own=True)
            await asyncio.sleep(self.pause)

    def _observed(self) -> Machine:
        return self.machine() if self.machine else observe(self.platform.settings.state_dir)

    def _lacks(self, build: Build) -> tuple[str, bool]:
        """What is missing, and whether waiting is of no use. Caches of idle apps go first when space is short."""
        settings = self.platform.settings
        needed = admission.disk_needed(
            self._size(build.source), settings.slug_max_mb << 20, self._size(f"{CACHES}{build.app_id}")
        )
        machine = self._observed()
        if admission.short_of_disk(machine, needed):
            free_caches(self.platform, lambda: self._observed().disk >= needed)
            machine = self._observed()
        if lacks := admission.short_of_disk(machine, needed):
            return f"{lacks} The running release is untouched; the operator has to free space.", not self.others()
        return admission.short_of_memory(machine, settings.build_memory_mb << 20), False

    def _size(self, key: str) -> int:
        try:
            return self.platform.store.size(key)
        except NotFound:
            return 0
        except (PogoError, OSError) as error:
            log.warning("cannot see the size of an object", key=key, error=str(error))
            return 0
