"""Sends the logs of apps to their drains. The log itself is the queue: what leaves it unsent is told as lost.

Every line is delivered at least once: how far a drain has come is recorded after it, once a second at most.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from pogo.errors import PogoError
from pogo.logs import Line
from pogo.logs.delivery import Delivery, Refused
from pogo.model import LogDrain
from pogo.rules import drains as rules
from pogo.services import drains
from pogo.services.platform import Platform

log = structlog.get_logger()
PERIOD = 5.0
ALIVE = 12.0  # seconds for which a turn allows deliveries: less than a lease
BATCH = 200  # lines
AHEAD = 1000  # lines read from the log and not yet sent
PAUSE_MAX = 60.0
REFUSALS = 5  # after which lines that the receiver does not want are dropped
SILENCE = 10.0  # seconds of trouble before the app's log is told


@dataclass
class Drains:
    """The loop: one task for each drain."""

    platform: Platform
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _until: float = 0.0

    async def turn(self) -> bool:
        rows = {drain.id: drain for drain in await self.platform.call(drains.all_drains)}
        self._until = time.monotonic() + ALIVE
        for id in self._tasks.keys() - rows.keys():
            self._tasks.pop(id).cancel()
        for id, drain in rows.items():
            if id not in self._tasks or self._tasks[id].done():
                self._tasks[id] = asyncio.create_task(self._run(drain))
        return False

    async def _run(self, drain: LogDrain) -> None:
        sender = _Sender(self.platform, drain, lambda: time.monotonic() < self._until)
        try:
            await sender.run()
        except Exception:
            log.exception("drain failed", drain=drain.token)
        finally:
            await sender.close()


class _Sender:
    """allowed: whether this daemon still holds the lease of the loop."""

    def __init__(self, platform: Platform, drain: LogDrain, allowed: Callable[[], bool]) -> None:
        self._platform = platform
        self._drain = drain
        self._allowed = allowed
        self._delivery = Delivery(rules.parse_url(drain.url), drain.token, private=drain.private)
        self._lines: asyncio.Queue[tuple[str, Line]] = asyncio.Queue(AHEAD)
        self._position = self._recorded = drain.position
        self._recorded_at = 0.0
        self._trouble_at = 0.0
        self._told = False

    async def run(self) -> None:
        """Until the app is destroyed, or for ever."""
        reader = asyncio.create_task(self._read())
        try:
            while batch := await self._batch(reader):
                await self._send(batch)
                self._position = batch[-1][0]
                if time.monotonic() - self._recorded_at >= 1:
                    await self._record()
        finally:
            reader.cancel()

    async def close(self) -> None:
        with suppress(PogoError):  # then some lines are sent again
            await self._record()
        await self._delivery.close()

    async def _read(self) -> None:
        async for entry in self._platform.logs.follow(self._drain.app_id, self._position):
            await self._lines.put(entry)

    async def _batch(self, reader: asyncio.Task[None]) -> list[tuple[str, Line]]:
        """What is there, at least one line; none once the log has ended."""
        first = asyncio.create_task(self._lines.get())
        try:
            while not first.done():
                # Positions of quiet apps are recorded too.
                timeout = 1.0 if self._position != self._recorded else None
                await asyncio.wait({first, reader}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    if reader.done() and self._lines.empty():
                        reader.result()
                        return []
                    await self._record()
        finally:
            if not first.done():
                first.cancel()
        batch = [first.result()]
        while len(batch) < BATCH and not self._lines.empty():
            batch.append(self._lines.get_nowait())
        return batch

    async def _send(self, batch: list[tuple[str, Line]]) -> None:
        messages = [rules.Message(line.at, line.source, line.dyno, line.text) for _, line in batch]
        attempt = 0
        while True:
            while not self._allowed():
                await asyncio.sleep(1)
            try:
                await self._delivery.send(messages)
            except Refused as refused:
                attempt += 1
                if attempt >= REFUSALS:
                    self._delivery.skip()
                    self._say(f"dropped {len(messages)} lines that the receiver refuses: {refused}")
                    return
                self._trouble(str(refused))
            except PogoError as error:
                attempt += 1
                self._trouble(str(error))
            else:
                if self._told:
                    self._say("delivers again")
                self._trouble_at, self._told = 0.0, False
                return
            await asyncio.sleep(min(2.0 ** min(attempt - 1, 10), PAUSE_MAX) * random.uniform(0.8, 1.2))  # noqa: S311

    def _trouble(self, why: str) -> None:
        """Tell the developer once, in the log that could not be sent; it is part of what is sent later."""
        now = time.monotonic()
        self._trouble_at = self._trouble_at or now
        if not self._told and now - self._trouble_at >= SILENCE:
            self._told = True
            self._say(f"cannot deliver, lines are kept meanwhile: {why}")

    def _say(self, text: str) -> None:
        self._platform.say(self._drain.app_id, "logplex", f"Drain {self._drain.token} {text}", at=time.time())

    async def _record(self) -> None:
        self._recorded_at = time.monotonic()
        if self._position != self._recorded:
            await self._platform.call(drains.record_position, self._drain.id, self._position)
            self._recorded = self._position
