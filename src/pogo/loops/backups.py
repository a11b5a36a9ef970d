"""Takes a backup when the last one is old, in a process of its own: memory and time are not pogod's."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from pogo.backup import catalog, record
from pogo.errors import PogoError
from pogo.model import utcnow
from pogo.services.platform import Platform
from pogo.store.marks import foreign, own_mark

log = structlog.get_logger()
FIRST = 600.0  # seconds after the start of pogod: time to restore, on a new machine
RETRY = 900.0
SOONEST, LOOK = 60.0, 3600.0  # whether the store has another one meanwhile


def due_in(last: datetime | None, hours: float, now: datetime) -> float:
    """Seconds until the next backup is due; one from the future is taken for one from now."""
    if not hours:
        return math.inf
    if last is None:
        return 0.0
    return max(0.0, (min(last, now) + timedelta(hours=hours) - now).total_seconds())


@dataclass
class Backups:
    """take: makes one. Raises PogoError."""

    platform: Platform
    take: Callable[[], object]
    _next: float = field(default_factory=lambda: time.monotonic() + FIRST)

    def period(self) -> float:
        return min(max(self._next - time.monotonic(), SOONEST), LOOK)

    async def turn(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + RETRY
        settings, store = self.platform.settings, self.platform.store
        if not settings.backup_hours:
            return False
        if await asyncio.to_thread(foreign, store, own_mark(settings.store_id)):
            return False  # as the loop that deletes says; bin/up and admin:backup do, too
        there = await asyncio.to_thread(catalog.all_of, store)
        wait = due_in(there[-1].at if there else None, settings.backup_hours, utcnow())
        if not wait:
            await asyncio.to_thread(self._take)
            wait = settings.backup_hours * 3600
        self._next = time.monotonic() + min(wait, LOOK)
        return False

    def _take(self) -> None:
        try:
            log.info("backup taken", found=str(self.take()).strip())
        except PogoError as error:
            log.error("no backup could be taken; it is tried again", error=error.message, seconds=RETRY)
            if not record.read(self.platform.settings).why:
                record.failed(self.platform.settings, error.message)
            raise
