"""1 → 100 → 1 web dynos, until the router shows exactly those."""

from __future__ import annotations

import time
from collections.abc import Callable

from installation import CHECKOUT, Installation

from bench.route import servers

APP = "bench-scale"
MANY = 100
SECONDS = 300


def measure(platform: Installation) -> None:
    work = platform.create(CHECKOUT / "examples" / "procfile", APP)
    platform.push(work)
    up = _scale(platform, MANY, lambda: _answering(platform) == MANY)
    down = _scale(platform, 1, lambda: len(servers(platform)) == 1)
    print(f"  1 to {MANY}, each has answered through the router {up:8.1f} s   ({MANY / up:.0f} a second)")
    print(f"  {MANY} to 1, only that one is routed            {down:8.1f} s")
    platform.pogo("destroy", "-a", APP, "--confirm", APP)


def _scale(platform: Installation, quantity: int, done: Callable[[], bool]) -> float:
    began = time.perf_counter()
    platform.pogo("ps:scale", f"web={quantity}", "-a", APP)
    while not done():
        assert time.perf_counter() - began < SECONDS, f"{APP} is not at {quantity}"
        time.sleep(0.2)
    return time.perf_counter() - began


def _answering(platform: Installation) -> int:
    """How many dynos answer; asked only when all are in the router, so that the asking does not slow them."""
    routed = len(servers(platform))
    if routed < MANY:
        return 0
    return len({platform.get(APP).body for _ in range(3 * MANY)})
