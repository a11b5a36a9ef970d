"""How a loop turns: under a lease, when hinted or after a period, and again after a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from pogo.errors import PogoError, StorageFull, Unavailable
from pogo.services import leases
from pogo.services.database import Holding, holding
from pogo.services.platform import Platform
from pogo.services.postgres import is_postgres

log = structlog.get_logger()
T = TypeVar("T")
LONG, LONGEST = 0.05, 0.5  # seconds
PAUSE = 1.0  # seconds after a turn that failed
RENEW = 5.0  # seconds; a third of a lease
SERVING = {"router", "certificates"}
"""Loops that show the router what is there. A full disk, which renews no lease, does not stop them on SQLite: no other
daemon can be there, and the lease they turn with then lets nothing be written."""


class Leases:
    """Those of this daemon's loops. They are renewed together: what writes to the database wakes all who look at it.

    token: of this daemon.
    """

    def __init__(self, platform: Platform, token: str) -> None:
        self.platform = platform
        self._token = token
        self._names: set[str] = set()
        self._held: dict[str, Holding] = {}
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def hold(self, name: str) -> Holding | None:
        """The lease of the loop of this name, where it may turn now."""
        async with self._lock:
            clock = asyncio.get_running_loop().time
            if name not in self._names or clock() >= self._until:
                self._names.add(name)
                self._held = {}
                until = clock() + RENEW
                try:
                    self._held = await self.platform.call(leases.hold, self._names, self._token)
                except StorageFull:
                    if name not in SERVING or is_postgres(self.platform.db.url):
                        raise
                    return Holding(name, self._token, term=0)
                self._until = until
            return self._held.get(name)


async def keep_turning(
    held: Leases, name: str, turn: Callable[[], Awaitable[bool]], period: float | Callable[[], float]
) -> None:
    """Call `turn` for ever, while this daemon holds the lease `name`; period: seconds, or what tells them.

    A turn that returns True has changed something and is followed by the next one at once. One that
    fails is logged (the part that did not answer is named in the error) and tried again.
    """
    while True:
        again, began = False, time.monotonic()
        holding.set(None)
        try:
            lease = await held.hold(name)
            holding.set(lease)
            again = lease is not None and await turn()
        except PogoError as error:
            log.warning("turn failed", loop=name, error=str(error))
            await asyncio.sleep(PAUSE)
        except Exception:
            log.exception("turn failed", loop=name)
            await asyncio.sleep(PAUSE)
        # A turn over a thousand dynos takes a while: what comes meanwhile is dealt with together.
        taken = time.monotonic() - began
        if taken > LONG:
            await asyncio.sleep(min(taken, LONGEST))
        if not again:
            await held.platform.hints.wait(name, period() if callable(period) else period)


async def insist(action: Callable[[], Awaitable[T]], patience: float = 60) -> T:
    """Repeat an action while its part does not answer (Unavailable), for up to `patience` seconds.

    ContainerError and its like are answers, and raised at once.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        try:
            return await action()
        except Unavailable as error:
            if type(error) is not Unavailable or clock() > deadline:
                raise
        await asyncio.sleep(0.3)
