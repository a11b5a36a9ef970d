"""How often somebody may ask, counted in memory: a restart of pogod forgives."""

from __future__ import annotations

import time
from typing import NamedTuple

from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from pogo.errors import RateLimited

TRIES_A_MINUTE = 30
"""From one address: logins by password, and whatever else is answered without a token."""


class Budget(NamedTuple):
    """remaining: calls that are left. reset_after: seconds until more are."""

    remaining: int
    reset_after: float


class Budgets:
    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def call(self, user_id: str, an_hour: int) -> int | None:
        """Count one call of a user: how many are left, None where there is no limit (0). Raises RateLimited."""
        if not an_hour:
            return None
        item = RateLimitItemPerHour(an_hour)
        fine = self._limiter.hit(item, "calls", user_id)
        left = self.left(user_id, an_hour)
        if not fine:
            raise RateLimited(
                f"Your account has made its {an_hour} calls of this hour (POGO_API_RATE). "
                f"Try again in {_minutes(left.reset_after)}.",
                left.reset_after,
            )
        return left.remaining

    def left(self, user_id: str, an_hour: int) -> Budget:
        stats = self._limiter.get_window_stats(RateLimitItemPerHour(an_hour), "calls", user_id)
        return Budget(max(0, int(stats.remaining)), max(1.0, stats.reset_time - time.time()))

    def knock(self, address: str) -> None:
        """Count one try without a token. Raises RateLimited."""
        if not self._limiter.hit(RateLimitItemPerMinute(TRIES_A_MINUTE), "tries", address):
            raise RateLimited("Too many tries from this address. Try again in a minute.", 60)


def _minutes(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{'s' * (minutes > 1)}"
