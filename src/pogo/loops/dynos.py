"""Makes the dynos that run equal to the formation; runs one-offs and release phases."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from pogo.containers import Observed
from pogo.errors import PogoError
from pogo.logs import Filter
from pogo.loops.booting import UP, Boots, Target
from pogo.loops.collect import Collector
from pogo.loops.liveness import Liveness
from pogo.model import utcnow
from pogo.rules import crash, sizes, trouble
from pogo.rules import formation as rules
from pogo.rules.formation import DynoState, Seen
from pogo.rules.usage import vastly_over
from pogo.services import dynos, snapshot
from pogo.services.platform import Platform
from pogo.services.snapshot import AppState

log = structlog.get_logger()
PERIOD = 1.0
REST = 5.0  # seconds, where only a lost hint could have left something to do
REMOVALS = 4  # at once
PORTS = range(3000, 32_000)  # below the range that Linux takes for outgoing connections


@dataclass
class Dynos:
    """The loop. It keeps in memory only what is under way; a new daemon finds all else again."""

    platform: Platform
    boots: Boots = field(init=False)
    collector: Collector = field(init=False)
    liveness: Liveness = field(init=False)
    _told_to_stop: set[str] = field(default_factory=set)
    _removals: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REMOVALS))
    _wait: float = PERIOD

    def __post_init__(self) -> None:
        self.boots = Boots(self.platform)
        self.collector = Collector(self.platform)
        self.liveness = Liveness(self.platform)
        settings = self.platform.settings
        self.bounds = rules.Bounds(
            boot=settings.boot_timeout,
            grace=settings.stop_grace,
            pause_max=settings.restart_pause_max,
            cycle=settings.dyno_cycle * 3600,
        )

    async def turn(self) -> bool:
        """One round over all apps. True when something changed."""
        self._wait = PERIOD
        # In this order: a container is listed before its dyno is looked up, so that one that is
        # being started is never taken for a stray.
        listed = await self.platform.containers.list()
        observed = {container.id: container for container in listed if container.labels.get("kind") == "dyno"}
        apps = await self.platform.call(snapshot.read)
        self.collector.attend(observed)
        changed = False
        known, wait, now = set(), REST, utcnow()
        for app in apps:
            known |= {dyno.container for dyno in app.dynos}
            seen = {
                id: self._seen(observed, id)
                for dyno in app.dynos
                if (id := dyno.container) and self._visible(observed, id)
            }
            steps = rules.plan(
                None if app.destroyed else app.release,
                app.wants,
                app.dynos,
                seen,
                self.boots.ready,
                now,
                self.bounds,
                self.liveness.sick,
            )
            wait = 0 if steps else min(wait, rules.rest(app.dynos, now, REST))
            clears = [step for step in steps if isinstance(step, rules.Clear)]
            done = [await self._do(app, step, observed) for step in steps if not isinstance(step, rules.Clear)]
            done += await asyncio.gather(*(self._do(app, step, observed) for step in clears))
            changed |= any(done)
            for dyno in app.dynos:
                await self._attend(app, dyno, observed)
        for id in observed.keys() - known:
            await self._clear_stray(observed[id])
            wait = 0
        self._wait = max(wait, PERIOD)
        return changed

    def period(self) -> float:
        """Seconds until the next turn: a thousand dynos that only run are not looked at every second."""
        return self._wait

    def _visible(self, observed: dict[str, Observed], id: str) -> bool:
        return id in observed or id in self.boots.refused

    def _seen(self, observed: dict[str, Observed], id: str) -> Seen:
        if reason := self.boots.refused.get(id):
            return Seen(status=rules.LOST, collected=True, refused=reason)
        end = observed[id].exit
        if end is None:
            return Seen()
        return Seen(end.status, end.oom, id in self.collector.finished)

    async def _attend(self, app: AppState, dyno: DynoState, observed: dict[str, Observed]) -> None:
        """Go on with what a previous daemon began: probes of starting dynos, signals to stopping ones."""
        container = observed.get(dyno.container or "")
        if container is None or container.exit is not None:
            return
        if dyno.state == "starting" and dyno.id not in app.address and not self.boots.under_way(container.id):
            await self._change(dyno, address=container.address)  # its daemon was killed before it could
        # The address is recorded when the start is done: before that, nobody or a former owner answers there.
        if dyno.state == "starting" and dyno.type == "web" and dyno.kind == "formation" and dyno.id in app.address:
            path, host = app.checks.ready_path, self.platform.settings.app_host(app.name)
            self.boots.probe(Target(dyno.id, container.id, app.address[dyno.id], app.port[dyno.id], path, host))
        if dyno.state == "stopping" and container.id not in self._told_to_stop:
            left = (dyno.stop_by - utcnow()).total_seconds() if dyno.stop_by else 0
            await self._signal(container.id, max(0.0, left))

    async def _signal(self, container: str, grace: float) -> None:
        await self.platform.containers.stop(container, grace)
        self._told_to_stop.add(container)

    async def _clear_stray(self, container: Observed) -> None:
        """A container whose dyno is gone: an app destroyed, or a start that came after all."""
        if container.exit is None:
            if container.id not in self._told_to_stop:
                await self._signal(container.id, 0)
        else:
            await self._remove(container.id)
            self.platform.hints.wake("cleanup")

    async def _remove(self, container: str) -> None:
        async with self._removals:
            await self.platform.containers.remove(container)
        self._told_to_stop.discard(container)

    async def _do(self, app: AppState, step: rules.Step, observed: dict[str, Observed]) -> bool:
        """Take one step: first in the database, if the dyno still is as it was, then outside."""
        try:
            match step:
                case rules.Create(want):
                    await self._create(app, want)
                case rules.Retire() | rules.Replace():
                    return await self._retire(app, step)
                case rules.Boot(dyno):
                    return await self._boot(app, dyno)
                case rules.MarkUp(dyno):
                    if await self._change(dyno, state="up"):
                        self._say(app, dyno, UP)
                        self.platform.hints.wake("router")
                case rules.Drain(dyno):
                    await self._change(dyno, state="draining")
                    self.platform.hints.wake("router")
                case rules.Stop(dyno, grace, code):
                    await self._stop(app, dyno, grace, code)
                case rules.Crash():
                    await self._crash(app, step, observed)
                case rules.Finish(dyno, status):
                    await self._finish(app, dyno, status, observed.get(dyno.container or ""))
                case rules.Park(dyno):
                    await self._clear(app, dyno, observed, state="down", retired=None)
                case rules.Clear(dyno, forget):
                    await self._clear(app, dyno, observed, forget=forget)
        except PogoError as error:  # one dyno that fails must not hold up the others
            log.warning("step failed", step=type(step).__name__, app=app.name, error=str(error))
            return False
        return True

    async def _change(self, dyno: DynoState, **values: object) -> bool:
        return await self.platform.call(dynos.change, dyno.id, dyno.state, **values)

    def _say(self, app: AppState, dyno: DynoState, text: str) -> None:
        self.platform.say(app.id, dyno.name, text, at=time.time())

    async def _create(self, app: AppState, want: rules.Want) -> None:
        values = {
            "app_id": app.id,
            "release_id": app.release,
            "type": want.type,
            "number": want.number,
            "size": want.size,
            "command": want.command,
        }
        await self.platform.call(dynos.create, [values])

    async def _boot(self, app: AppState, dyno: DynoState) -> bool:
        if self.boots.under_way(dyno.container):
            return False
        again = dyno.state == "starting" and dyno.container is not None
        container = dyno.container if again and dyno.container else dynos.new_container(dyno.type)
        self.boots.forget(dyno.id, dyno.container)
        values = {"port": random.choice(PORTS), "address": None, "exit_status": None, "stop_by": None}  # noqa: S311
        if not again and not await self._change(
            dyno, state="starting", container=container, state_at=utcnow(), **values
        ):
            return False
        row = await self.platform.call(dynos.get_dyno, dyno.id)
        if row is not None and not again:
            self._say(app, dyno, f"Starting process with command `{row.command}`")
        self.boots.boot(dyno.id, container)
        return not again

    async def _stop(self, app: AppState, dyno: DynoState, grace: float, code: str) -> None:
        if not await self._change(dyno, state="stopping", stop_by=dynos.stop_deadline(grace)):
            return
        silent = self.boots.silent.get(dyno.id, "") if app.checks.ready_path else ""
        self.boots.forget(dyno.id, None)
        texts = trouble.boot_timeout(self.bounds.boot, silent) if code == "R10" else [trouble.SIGTERM]
        for text in texts:
            self._say(app, dyno, text)
        if dyno.container:
            await self._signal(dyno.container, grace)
        self.platform.hints.wake("router")

    async def _crash(self, app: AppState, step: rules.Crash, observed: dict[str, Observed]) -> None:
        dyno = step.dyno
        container = observed.get(dyno.container or "")
        oom = container is not None and container.exit is not None and container.exit.oom
        # It was told to stop since it never listened.
        code = "R15" if oom else "R10" if dyno.state == "stopping" else ""
        wait = _scattered(step.pause)
        if not await self._change(
            dyno,
            ended_at=_ended(container),
            state="crashed",
            exit_status=step.status,
            restarts=step.restarts,
            next_start=utcnow() + timedelta(seconds=wait),
            stop_by=None,
            crash=crash.describe(step.status, code=code, reason=step.reason, at=time.time()),
        ):
            return
        self.boots.forget(dyno.id, dyno.container)
        self._say_vastly_exceeded(app, dyno, container)
        self._say(app, dyno, _sentence(step.reason) or f"Process exited with status {step.status}")
        self._say(app, dyno, f"State changed from {'starting' if dyno.state == 'stopping' else dyno.state} to crashed")
        if wait >= 1:
            self._say(app, dyno, f"Crashed {step.restarts} times in a row: next start in {wait:.0f} seconds")
        self.platform.hints.wake("router")

    async def _retire(self, app: AppState, step: rules.Retire | rules.Replace) -> bool:
        if isinstance(step, rules.Retire):
            return await self._change(step.dyno, retired=step.why)
        dyno, wait = step.dyno, _scattered(step.pause)
        done = await self.platform.call(
            dynos.replace_sick,
            dyno.id,
            restarts=step.restarts,
            next_start=utcnow() + timedelta(seconds=wait) if wait else None,
            crash=crash.describe(None, code="", reason=step.reason, at=time.time()),
        )
        if done:
            self._say(app, dyno, f"{_sentence(step.reason)}; replacing the dyno")
            if wait >= 1:
                self._say(app, dyno, f"Replaced {step.restarts} times in a row: next start in {wait:.0f} seconds")
            self.platform.hints.wake("router")
        return done

    async def _finish(self, app: AppState, dyno: DynoState, status: int, container: Observed | None) -> None:
        reason = self.boots.refused.get(dyno.container or "")
        nothing = {"container": None} if reason else {}
        if not await self._change(dyno, ended_at=_ended(container), state="complete", exit_status=status, **nothing):
            return
        self.boots.forget(dyno.id, dyno.container)
        self._say_vastly_exceeded(app, dyno, container)
        how = rules.WHY_LOST if status == rules.LOST else f"Process exited with status {status}"
        self._say(app, dyno, _sentence(reason or how))
        self._say(app, dyno, f"State changed from {dyno.state} to complete")
        self.platform.hints.wake("releases", "attach")

    async def _clear(
        self, app: AppState, dyno: DynoState, observed: dict[str, Observed], *, forget: bool = False, **values: object
    ) -> None:
        container = observed.get(dyno.container or "")
        if container and container.exit:
            if dyno.state not in ("crashed", "complete"):  # those were told
                self._say_vastly_exceeded(app, dyno, container)
            if container.exit.exceeded == "disk":
                most = self.platform.settings.dyno_disk_mb
                self._say(app, dyno, f"Error: the dyno wrote more than {most} MB to its disk and was killed")
            if dyno.state == "stopping" and dyno.stop_by:
                self._say_stopped(app, dyno, container.exit.status)
        if dyno.container:
            await self._remove(dyno.container)
            self.boots.forget(dyno.id, dyno.container)
        if forget:
            await self.platform.call(dynos.forget, dyno.id, _ended(container))
        else:
            if dyno.state == "crashed":
                values |= await self._last_words(app, dyno)
            await self._change(dyno, ended_at=_ended(container), container=None, address=None, **values)
        if app.destroyed:
            self.platform.hints.wake("cleanup")

    async def _last_words(self, app: AppState, dyno: DynoState) -> dict[str, object]:
        """The end of what a crashed dyno printed, now that all of it is in the log, for its record."""
        row = await self.platform.call(dynos.get_dyno, dyno.id)
        if row is None or row.crash is None:
            return {}
        recent = await asyncio.to_thread(self.platform.logs.recent, app.id, crash.LINES, Filter("app", dyno.name))
        lines = [line.text for _, line in recent if line.origin and line.origin[0] == dyno.container]
        return {"crash": crash.with_output(row.crash, lines)}

    def _say_vastly_exceeded(self, app: AppState, dyno: DynoState, container: Observed | None) -> None:
        if container and container.exit and container.exit.oom:
            size = sizes.SIZES.get(dyno.size.lower())
            for text in vastly_over(size.memory, size.most_memory) if size else vastly_over(0, 0):
                self._say(app, dyno, text)

    def _say_stopped(self, app: AppState, dyno: DynoState, status: int) -> None:
        late = status == 137 and dyno.stop_by and utcnow() >= dyno.stop_by
        for text in trouble.exit_timeout(self.bounds.grace) if late else ():
            self._say(app, dyno, text)
        self._say(app, dyno, f"Process exited with status {status}")

    async def watch(self) -> None:
        """Take a turn as soon as a container ends, instead of a period later."""
        while True:
            try:
                async for _ in self.platform.containers.watch():
                    self.platform.hints.wake("dynos")
            except PogoError as error:
                log.info("watch interrupted", error=str(error))
            await asyncio.sleep(1)


def _ended(container: Observed | None) -> datetime | None:
    """None where nobody saw it end."""
    end = container and container.exit
    return datetime.fromtimestamp(end.at, UTC) if end and end.status != rules.LOST else None


def _scattered(pause: float) -> float:
    """A pause that differs by chance: dynos that died together come back apart."""
    return pause * random.uniform(0.8, 1.2)  # noqa: S311


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
