"""Writes down what the requests of apps were counted to, once a minute, and drops what is older than a day."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from pogo.services.platform import Platform

PERIOD = 60.0


@dataclass
class TrafficLoop:
    platform: Platform

    async def turn(self) -> bool:
        traffic = self.platform.traffic
        try:
            await asyncio.to_thread(traffic.write, traffic.take())
        finally:
            await asyncio.to_thread(traffic.prune, time.time())
        return False
