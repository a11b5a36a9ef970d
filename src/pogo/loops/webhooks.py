"""Delivers what services.events wrote for webhooks: one task for each webhook that has something due.

Every delivery is made at least once: a daemon that is killed between an attempt and its record makes it again.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
import structlog

from pogo import __version__, outbound
from pogo.model import utcnow
from pogo.rules import webhooks as rules
from pogo.services import webhooks
from pogo.services.platform import Platform
from pogo.services.webhooks import Parcel

log = structlog.get_logger()
PERIOD = 1.0
ALIVE = 12.0  # seconds for which a turn allows deliveries: less than a lease
TIMEOUT = 15.0
AT_ONCE = 32  # webhooks
BATCH = 20  # deliveries of one webhook, before another one gets its turn
PRUNE_EVERY = 600.0


@dataclass
class Webhooks:
    """The loop."""

    platform: Platform
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _until: float = 0.0
    _prune_at: float = 0.0

    async def turn(self) -> bool:
        self._until = time.monotonic() + ALIVE
        self._tasks = {id: task for id, task in self._tasks.items() if not task.done()}
        if time.monotonic() >= self._prune_at:
            await self.platform.call(webhooks.prune)
            self._prune_at = time.monotonic() + PRUNE_EVERY
        earliest = await self.platform.call(webhooks.earliest)
        if earliest is None or earliest > utcnow():
            return False
        for id in await self.platform.call(webhooks.due):
            if id not in self._tasks and len(self._tasks) < AT_ONCE:
                self._tasks[id] = asyncio.create_task(self._run(id))
        return False

    async def _run(self, id: str) -> None:
        try:
            await deliver(self.platform, id, lambda: time.monotonic() < self._until)
        except Exception:
            log.exception("webhook failed", webhook=id)
        self.platform.hints.wake("webhooks")


async def deliver(platform: Platform, webhook_id: str, allowed: Callable[[], bool]) -> None:
    """Try what is due to one webhook. allowed: whether this daemon still holds the lease of the loop."""
    for _ in range(BATCH):
        parcel = await platform.call(webhooks.next_parcel, webhook_id) if allowed() else None
        if parcel is None:
            return
        code, error = await _send(parcel)
        known = await platform.call(webhooks.history, parcel)
        if known is not None:
            level, attempts, at = known
            pause = rules.pause(level, attempts + 1, utcnow() - at, random.random())  # noqa: S311
            await platform.call(webhooks.attempted, parcel, code, error, pause)


async def _send(parcel: Parcel) -> tuple[int | None, str | None]:
    """The status of the answer, or why there is none. What the answer says is not read."""
    body = json.dumps(parcel.body).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Pogoapp-Webhooks/{__version__}",
        "Heroku-Webhook-Hmac-SHA256": rules.signature(parcel.secret, body),
    }
    if parcel.authorization:
        headers["Authorization"] = parcel.authorization
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            outbound.client(TIMEOUT, private=parcel.private) as client,
            client.stream("POST", parcel.url, content=body, headers=headers) as response,
        ):
            return response.status_code, None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as failure:
        return None, str(failure) or type(failure).__name__
