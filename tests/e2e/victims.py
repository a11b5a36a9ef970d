"""What random kills find to kill: a process of any part of the platform, of a dyno, of a build, of a push."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from installation import Installation

from pogo.install import processes

SERVICES = ("pogod", "agent", "router")
# How often which part is chosen; `dyno`, `run`, `release` and `build` are the monitors of containers.
CHANCES = {
    "pogod": 5,
    "agent": 4,
    "router": 3,
    "nursery": 1,
    "supervisor": 1,
    "dyno": 2,
    "dyno's process": 2,
    "run": 1,
    "run's process": 1,
    "release": 1,
    "build": 2,
    "build's process": 1,
    "push": 2,
    "pusher": 1,
}
PATIENCE = 2.0  # seconds to wait for a build, a push … to kill
MOST = 6  # kills in a round


class Planned(NamedTuple):
    """at: seconds after the round's beginning. Parts with the same moment die together."""

    at: float
    parts: tuple[str, ...]


class Kill(NamedTuple):
    """at: unix time. what: the dyno, or the service of a supervisor."""

    at: float
    part: str
    what: str = ""

    @property
    def of_router(self) -> bool:
        return self.part == "router" or (self.part == "supervisor" and self.what == "router")

    @property
    def of_pogod(self) -> bool:
        return self.part == "pogod" or (self.part == "supervisor" and self.what == "pogod")

    @property
    def of_web(self) -> bool:
        return self.part in ("dyno", "dyno's process")


def plan(chance: random.Random, seconds: float, others: Mapping[str, int]) -> list[Planned]:
    """others: more parts that can be killed, and how often they are chosen."""
    parts = {**CHANCES, **others}

    def some(count: int) -> tuple[str, ...]:
        return tuple(chance.choices([*parts], [*parts.values()], k=count))

    if chance.random() < 0.25:
        return [Planned(chance.uniform(0.5, seconds), some(chance.randint(2, MOST)))]
    moments = sorted(chance.uniform(0.2, seconds) for _ in range(chance.randint(1, MOST)))
    return [Planned(at, some(1)) for at in moments]


class Killer(threading.Thread):
    """Carries a plan out. kills: what was killed; a part of which nothing ran is left out."""

    def __init__(
        self,
        platform: Installation,
        plan: list[Planned],
        chance: random.Random,
        pusher: Callable[[], int],
        others: Mapping[str, Callable[[], bool]],
    ) -> None:
        super().__init__()
        self.platform = platform
        self.plan = plan
        self.chance = chance
        self.pusher = pusher
        self.others = others
        self.kills: list[Kill] = []

    def run(self) -> None:
        began = time.monotonic()
        for planned in self.plan:
            time.sleep(max(0, began + planned.at - time.monotonic()))
            end = time.monotonic() + PATIENCE
            waiting = set(planned.parts)
            while waiting:
                for part in sorted(waiting):
                    if self._kill(part):
                        waiting.discard(part)
                if time.monotonic() > end:
                    break
                time.sleep(0.02)

    def _kill(self, part: str) -> bool:
        if part in self.others:
            done = self.others[part]()
            self.kills += [Kill(time.time(), part)] if done else []
            return done
        found = [(pid, what) for pid, what in self._victims(part) if pid > 1]
        if not found:
            return False
        pid, what = self.chance.choice(found)
        at = time.time()
        try:
            if part in ("push", "pusher"):
                kill_tree(pid)
            else:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.kills.append(Kill(at, part, what))
        return True

    def _victims(self, part: str) -> Iterator[tuple[int, str]]:
        platform = self.platform
        if part in SERVICES:
            yield platform.pid(part), ""
        elif part == "supervisor":
            service = self.chance.choice(SERVICES)
            pid = processes.parent(platform.pid(service))
            if processes.command(pid)[:1] == ["runsv"]:
                yield pid, service
        elif part == "nursery":
            agent = platform.pid("agent")
            yield from ((pid, "") for pid in processes.pids() if agent and processes.parent(pid) == agent)
        elif part == "pusher":
            yield self.pusher(), ""
        elif part == "push":
            daemon = platform.pid("pogod")
            for pid in processes.pids():
                if processes.command(pid)[-1:] == ["http-backend"] and processes.descends(pid, {daemon}):
                    yield pid, ""
        else:
            kind, _, inside = part.partition("'")
            for what, monitor in self._monitors(kind):
                if not inside:
                    yield monitor, what
                else:
                    below = (pid for pid in processes.pids() if processes.descends(pid, {monitor}) and pid != monitor)
                    yield from ((pid, what) for pid in below)

    def _monitors(self, kind: str) -> Iterator[tuple[str, int]]:
        """Names and monitors of the containers of a kind that run."""
        for place in (self.platform.state / "run/c").iterdir():
            with contextlib.suppress(FileNotFoundError, ValueError):
                labels = json.loads((place / "spec").read_text())["labels"]
                monitor = int((place / "pid").read_text())
                if (place / "exit").exists() or processes.ended(monitor) or kind != _kind(labels):
                    continue
                yield labels.get("dyno", kind), monitor


def _kind(labels: Mapping[str, str]) -> str:
    if labels.get("kind") == "build":
        return "build"
    if "release" in labels:
        return "release"
    return "run" if labels["dyno"].startswith("run.") else "dyno"


def kill_tree(pid: int) -> None:
    for child in [one for one in processes.pids() if processes.parent(one) == pid]:
        kill_tree(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
