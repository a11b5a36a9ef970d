"""Writes down what the requests of apps were counted to, once a minute, and drops what is older than a day."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from pogo.services.platform import Platform

PERIOD = 60.0
PRUNE_EVERY = 3600.0


@dataclass
class TrafficLoop:
    platform: Platform
    _prune_at: float = 0.0

    async def turn(self) -> bool:
        traffic = self.platform.traffic
        if time.monotonic() >= self._prune_at:
            await asyncio.to_thread(traffic.prune, time.time())
            self._prune_at = time.monotonic() + PRUNE_EVERY
        await asyncio.to_thread(traffic.write, traffic.take())
        return False
