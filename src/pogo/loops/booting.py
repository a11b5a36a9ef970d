"""From a dyno in the database to a container that runs, and to a port that answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from pogo.containers import ContainerSpec, Limits
from pogo.errors import ContainerError, InvalidParams, NotFound, PogoError
from pogo.loops import asking
from pogo.model import Dyno, utcnow
from pogo.rules import launch, sizes
from pogo.rules.checks import stored
from pogo.services import dynos
from pogo.services.platform import Platform

log = structlog.get_logger()
PARALLEL = 4  # measured: more boots at once do not help on a small machine
UP = "State changed from starting to up"
PROBE_PAUSE = 0.01
PROBES_A_SECOND = 400
AT_ONCE = 1.0  # seconds
CONNECT_TIMEOUT = 0.2  # a SYN that was lost is sent again only after a second
GET_TIMEOUT = 5.0


@dataclass(frozen=True)
class Target:
    """A starting web dyno. path: of a GET that it has to answer well, or empty; host: for its Host header."""

    dyno_id: str
    container: str
    address: str
    port: int
    path: str
    host: str


class Boots:
    """The boots and port probes that are under way in this daemon.

    refused: container id → why it could not be started; such a dyno has crashed.
    ready: ids of web dynos that answered; silent: of those that did not → why, when they were asked last.
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.refused: dict[str, str] = {}
        self.ready: set[str] = set()
        self.silent: dict[str, str] = {}
        self._boots: dict[str, asyncio.Task[None]] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._fetches: dict[str, asyncio.Task[Path]] = {}
        self._waiting: set[str] = set()  # ids of dynos whose slug cannot be had now; their users know
        self._slots = asyncio.Semaphore(PARALLEL)

    def under_way(self, container: str | None) -> bool:
        return container in self._boots

    def boot(self, dyno_id: str, container: str) -> None:
        if container not in self._boots:
            task = self._boots[container] = asyncio.create_task(self._boot(dyno_id, container))
            task.add_done_callback(lambda _: self._boots.pop(container, None))

    def probe(self, target: Target) -> None:
        """Ask a starting web dyno until it answers: on its port, and to a GET where there is a path."""
        id = target.dyno_id
        if id not in self._probes and id not in self.ready:
            task = self._probes[id] = asyncio.create_task(self._probe(target))
            task.add_done_callback(lambda _: self._probes.pop(id, None))

    def forget(self, dyno_id: str, container: str | None) -> None:
        """The dyno is no longer starting in this container."""
        self.ready.discard(dyno_id)
        self.silent.pop(dyno_id, None)
        if task := self._probes.get(dyno_id):
            task.cancel()
        if container:
            self.refused.pop(container, None)
        else:
            self._waiting.discard(dyno_id)

    async def _boot(self, dyno_id: str, container: str) -> None:
        """Without a slot while the slug is fetched: boots from copies go on when the store does not answer."""
        platform = self.platform
        dyno = await self._starting(dyno_id, container)
        if dyno is None:
            return
        try:
            slug = dyno.release.slug
            if slug is None:
                raise NotFound("slug", f"Release v{dyno.release.version} has no slug.")
            image = await self._fetched(slug.blob, dyno)
            async with self._slots:
                if (utcnow() - dyno.state_at).total_seconds() > AT_ONCE:
                    if await self._starting(dyno_id, container) is None:
                        return
                    # The time to bind the port begins now.
                    await platform.call(dynos.change, dyno_id, "starting", state_at=utcnow())
                started = await platform.containers.start(self._spec(dyno, container, slug.stack, image))
                if await platform.call(dynos.change, dyno_id, "starting", address=started.address):
                    self._ask_at_once(dyno, container, started.address)
        except (ContainerError, NotFound, InvalidParams) as error:
            log.warning("cannot boot", dyno=dyno.name, app=dyno.app.name, error=str(error))
            self.refused[container] = error.message
        except PogoError as error:  # nobody answered: the next turn boots it again
            log.warning("boot put off", dyno=dyno.name, app=dyno.app.name, error=str(error))
            await asyncio.sleep(1)
        platform.hints.wake("dynos")

    async def _starting(self, dyno_id: str, container: str) -> Dyno | None:
        """None: it was told to go meanwhile, or is in another container."""
        dyno = await self.platform.call(dynos.get_dyno, dyno_id)
        return dyno if dyno and dyno.container == container and dyno.state == "starting" else None

    async def _fetched(self, key: str, dyno: Dyno) -> Path:
        """Once however many dynos wait for it. That the store cannot give it is told in the app's log, once."""
        if key not in self._fetches:
            fetch = self._fetches[key] = asyncio.create_task(self.platform.ask_store(self.platform.store.local, key))
            fetch.add_done_callback(lambda _: self._fetches.pop(key, None))
        try:
            found = await asyncio.shield(self._fetches[key])
        except NotFound:
            raise
        except PogoError as error:
            if dyno.id not in self._waiting:
                self._waiting.add(dyno.id)
                text = f"The platform's store for slugs fails: {error.message} This boot waits until it gives the slug."
                self.platform.say(dyno.app_id, dyno.name, text, at=time.time())
            raise
        self._waiting.discard(dyno.id)
        return found

    def _ask_at_once(self, dyno: Dyno, container: str, address: str) -> None:
        if dyno.kind == "formation" and dyno.type == "web" and dyno.port:
            path, host = stored(dyno.app.checks).ready_path, self.platform.settings.app_host(dyno.app.name)
            self.probe(Target(dyno.id, container, address, dyno.port, path, host))

    def _spec(self, dyno: Dyno, container: str, stack: str, slug: Path) -> ContainerSpec:
        size = sizes.find_size(dyno.size)
        env = launch.environment(dyno.release.config, dyno.env, dyno.name, dyno.port, size.memory)
        labels = {"kind": "dyno", "app": dyno.app_id, "dyno": dyno.name}
        if dyno.attach:
            labels["attach"] = "yes"
        if dyno.kind == "release":
            labels["release"] = dyno.release_id
        return ContainerSpec(
            id=container,
            slot=dyno.app.slot,
            stack=stack,
            slug=slug,
            command=launch.command(dyno.command),
            env=env,
            limits=Limits(
                memory=size.most_memory,
                quota=size.memory,
                cpu_shares=size.shares,
                cpu=size.cpu,
                pids=size.pids,
                files=self.platform.settings.dyno_files,
                disk=self.platform.settings.dyno_disk_mb << 20,
            ),
            tty=(dyno.tty_rows, dyno.tty_columns) if dyno.tty_rows and dyno.tty_columns else None,
            stdin=dyno.attach and not dyno.tty_rows,
            labels=labels,
        )

    async def _probe(self, target: Target) -> None:
        """The dynos loop ends this when the dyno is no longer starting."""
        id, address, port = target.dyno_id, target.address, target.port
        while True:
            why = await asking.port(address, port, CONNECT_TIMEOUT)
            if target.path and not why:
                why = await asking.path(address, port, target.path, target.host, GET_TIMEOUT)
            if not why:
                break
            self.silent[id] = why
            # Many that start at once share what one may ask alone.
            await asyncio.sleep(max(PROBE_PAUSE, len(self._probes) / PROBES_A_SECOND))
        self.ready.add(id)
        try:
            # The router waits for this, so it does not wait for a turn of the loop, which would do the same.
            if dyno := await self.platform.call(dynos.come_up, id, target.container):
                self.platform.say(dyno.app_id, dyno.name, UP, at=time.time())
        except PogoError as error:
            log.warning("not marked as up yet, or not told", dyno=id, error=error.message)
        self.platform.hints.wake("router", "dynos")
