"""Asks the web dynos of apps that want it, again and again, whether they still answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

import structlog

from pogo.errors import PogoError
from pogo.loops import asking
from pogo.rules import checks as rules
from pogo.rules.checks import Checks
from pogo.rules.formation import DynoState
from pogo.services import snapshot
from pogo.services.platform import Platform
from pogo.services.snapshot import AppState

log = structlog.get_logger()
PERIOD = 1.0
REST = 5.0  # seconds, while no app wants it
# Checks under way at once: in all, and of one app, whose dynos may all be slow to answer.
MOST, MOST_OF_APP = 256, 16
# A check that ends so many seconds after its time was held up here, and says nothing about the dyno.
LATE = 1.0


@dataclass(eq=False)
class Watched:
    """A dyno in its present container. due: in the time of the event loop. failures: in a row."""

    app: AppState
    dyno: DynoState
    due: float
    failures: int = 0
    asked: bool = False

    @property
    def checks(self) -> Checks:
        return self.app.checks


@dataclass
class Liveness:
    """sick: ids of dynos that failed as often as their app allows → why. What is counted is lost with the daemon."""

    platform: Platform
    sick: dict[str, str] = field(default_factory=dict)
    _watched: dict[str, Watched] = field(default_factory=dict)
    _apps: list[AppState] | None = None
    _asked: Counter[str] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def turn(self) -> bool:
        apps = await self.platform.call(snapshot.read)
        now = asyncio.get_running_loop().time()
        if apps is not self._apps:
            self._apps = apps
            self._attend(apps, now)
        for watched in self._watched.values():
            if watched.due > now or watched.asked or len(self._tasks) >= MOST:
                continue
            if self._asked[watched.app.id] < MOST_OF_APP:
                watched.due = max(watched.due + watched.checks.live_period, now)
                self._ask(watched)
        return False

    def period(self) -> float:
        return PERIOD if self._watched else REST

    def _attend(self, apps: list[AppState], now: float) -> None:
        watched = {}
        for app, dyno in _checked(apps):
            known = self._watched.get(dyno.id)
            if known is None or known.dyno.container != dyno.container:
                # Dynos that came together are not asked together.
                known = Watched(app, dyno, now + app.checks.live_period * (crc32(dyno.id.encode()) % 1000) / 1000)
            elif known.checks != app.checks:
                known.due = min(known.due, now + app.checks.live_period)
            known.app, known.dyno = app, dyno
            watched[dyno.id] = known
        self._watched = watched
        self.sick = {id: why for id, why in self.sick.items() if id in watched}

    def _ask(self, watched: Watched) -> None:
        watched.asked = True
        self._asked[watched.app.id] += 1
        task = asyncio.create_task(self._check(watched, watched.app))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, watched: Watched, app: AppState) -> None:
        clock = asyncio.get_running_loop().time
        checks, id = app.checks, watched.dyno.id
        began = clock()
        try:
            why = await asking.path(
                app.address[id],
                app.port[id],
                checks.live_path,
                self.platform.settings.app_host(app.name),
                checks.live_timeout,
            )
        finally:
            watched.asked = False
            self._asked[app.id] -= 1
            if not self._asked[app.id]:
                del self._asked[app.id]
        if self._watched.get(id) is not watched or (why and clock() - began > checks.live_timeout + LATE):
            return
        try:
            self._judge(watched, why)
        except PogoError as error:  # its log cannot be written
            log.warning("check not told", app=app.name, dyno=watched.dyno.name, error=error.message)

    def _judge(self, watched: Watched, why: str) -> None:
        id, most, before = watched.dyno.id, watched.checks.live_failures, watched.failures
        watched.failures = before + 1 if why else 0
        if not why:
            self.sick.pop(id, None)
        elif watched.failures >= most:
            self.sick[id] = rules.replaced(why, watched.failures)
            self.platform.hints.wake("dynos")
        if why or before:
            text = rules.failed(why, min(watched.failures, most), most) if why else rules.passed(before)
            self.platform.say(watched.app.id, watched.dyno.name, text, at=time.time())


def _checked(apps: list[AppState]) -> Iterator[tuple[AppState, DynoState]]:
    for app in apps:
        if app.checks.live_path and not app.destroyed:
            for dyno in app.dynos:
                serves = dyno.state == "up" and dyno.retired is None and dyno.id in app.address and dyno.id in app.port
                if serves and dyno.kind == "formation" and dyno.type == "web":
                    yield app, dyno
