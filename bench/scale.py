"""1 → 100 → 1 web dynos, until the router shows exactly those, and each has answered through it."""

from __future__ import annotations

import time

from installation import CHECKOUT, Installation

from bench.route import servers

APP = "bench-scale"
MANY = 100
SECONDS = 300


def measure(platform: Installation) -> None:
    work = platform.create(CHECKOUT / "examples" / "procfile", APP)
    platform.push(work)
    up = _scale(platform, MANY)
    down = _scale(platform, 1)
    print(f"  1 to {MANY}, each has answered through the router {up:8.1f} s   ({MANY / up:.0f} a second)")
    print(f"  {MANY} to 1, only that one answers              {down:8.1f} s")
    platform.pogo("destroy", "-a", APP, "--confirm", APP)


def _scale(platform: Installation, quantity: int) -> float:
    began = time.perf_counter()
    platform.pogo("ps:scale", f"web={quantity}", "-a", APP)
    while _answering(platform, quantity) != quantity:
        assert time.perf_counter() - began < SECONDS, f"{APP} is not at {quantity}"
        time.sleep(0.2)
    return time.perf_counter() - began


def _answering(platform: Installation, wanted: int) -> int:
    """How many dynos answer; asked only when just as many are in the router, so that the asking does not slow them."""
    if len(servers(platform)) != wanted:
        return 0
    answers = [platform.get(APP) for _ in range(3 * wanted)]
    return len({answer.body for answer in answers}) if all(answer.status == 200 for answer in answers) else 0
