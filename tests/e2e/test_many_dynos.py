"""Every part is killed beside many dynos: only those whose monitor was killed start again, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from installation import Installation
from small_apps import make, small
from waiting import eventually
from wreckage import answered, leftovers

APP = "many"
WEB = 5
DYNOS = int(os.environ.get("POGO_TEST_DYNOS", "60"))
MONITORS = 4  # killed each time
SEED = int(os.environ.get("POGO_TEST_SEED") or random.randrange(1 << 32))
PARTS = ("pogod", "agent", "router")


@pytest.fixture(scope="module")
def many(platform: Installation) -> Iterator[Installation]:
    """An app with DYNOS dynos, in types of a hundred at most."""
    idle = {f"idle{n}": min(100, DYNOS - WEB - n * 100) for n in range(-(-(DYNOS - WEB) // 100))}
    procfile = "web: python3 server.py\n" + "".join(f"{name}: exec sleep infinity\n" for name in idle)
    platform.push(make(platform, APP, small(Procfile=procfile)))
    began = time.monotonic()
    platform.pogo("ps:scale", f"web={WEB}", *(f"{name}={quantity}" for name, quantity in idle.items()), "-a", APP)
    eventually(lambda: len(_up(platform)) == DYNOS, 120)
    print(f"{DYNOS} dynos up after {time.monotonic() - began:.1f} s")
    yield platform
    platform.pogo("apps:destroy", APP, "--confirm", APP)
    eventually(lambda: not [*(platform.state / "run/c").glob("idle*")], 60)


def _up(platform: Installation) -> dict[str, str]:
    """Names of the dynos that are up, with their containers; nothing while the platform does not answer."""
    found: list[dict[str, Any]] = answered(platform, f"/apps/{APP}/dynos?extended=true")
    return {dyno["name"]: dyno["extended"]["instance"] for dyno in found if dyno["state"] == "up"}


def _monitor(platform: Installation, container: str) -> int:
    return int((platform.state / "run/c" / container / "pid").read_text())


def _routed(platform: Installation) -> bool:
    """Whether all web dynos, and nobody else, answer."""
    with contextlib.suppress(OSError):
        answers = [platform.get(APP) for _ in range(4 * WEB)]
        return {one.body for one in answers if one.status == 200} == {f"one web.{n}" for n in range(1, WEB + 1)}
    return False


@pytest.mark.parametrize("within", [0.0, 3.0], ids=["all-at-once", "at-random-moments"])
def test_only_dynos_whose_monitor_was_killed_start_again(many: Installation, within: float) -> None:
    print(f"POGO_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    before = _up(many)
    assert len(before) == DYNOS
    lost = set(chance.sample(sorted(before), MONITORS))
    victims = [*PARTS, *(_monitor(many, before[name]) for name in lost)]
    chance.shuffle(victims)
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(many.pid(victim) if isinstance(victim, str) else victim, signal.SIGKILL)
        time.sleep(chance.uniform(0, 2 * within / len(victims)))
    seconds = eventually(lambda: _healed(many, before, lost), 120)
    print(f"{seconds:.1f} s until {DYNOS} dynos are up and routed, and nothing is left")
    assert {name for name, container in _up(many).items() if container != before[name]} == lost


def _healed(platform: Installation, before: dict[str, str], lost: set[str]) -> bool:
    up = _up(platform)
    replaced = len(up) == DYNOS and all(up[name] != before[name] for name in lost)
    return replaced and not leftovers(platform) and _routed(platform)
