"""The steps of one build: compile and pack in containers, then its slug to the store."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from pogo.containers import ContainerSpec, Exit, Limits, Observed
from pogo.errors import ContainerError, NotFound, StorageFull, Unavailable
from pogo.loops.turns import insist
from pogo.mirror.egress import not_had
from pogo.model import Build
from pogo.rules import build_ends, build_inputs, sizes
from pogo.rules.build_ends import Allowed
from pogo.services import buildpacks, builds
from pogo.services.build_environment import build_environment
from pogo.services.garbage import CACHES, slug_key
from pogo.services.platform import Platform
from pogo.settings import Settings

log = structlog.get_logger()
T = TypeVar("T")
PUSHED = "sources/push-"
SPOOL = 64 << 20
RESERVE = 192 << 20  # bytes that a build leaves free on the disk; admission asks for more
_WATCH = 0.25  # seconds between two looks at what it uses
CPU_SHARES = 256  # among builds; all of them together are lighter than any dyno
STORE_PATIENCE = 300.0
START_PAUSES = (0.2, 1.0)  # seconds after a start that failed
STORE_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
# -P: the working directory is the app's to write; no module may come from there.
BUILDER = ("/usr/bin/python3", "-sP", "-m", "pogo.build")
ENVIRONMENT = {
    "PYTHONPATH": "/pogo/lib",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/app",
    "LANG": "en_US.UTF-8",
}


class BuildFailed(Exception):
    """The build cannot succeed. The pusher has been told, or is told these words."""

    def __init__(self, text: str, *, said: bool = False) -> None:
        self.text = text
        self.said = said
        super().__init__(text)


class MachineLost(Exception):
    """The build's container went down with its machine: begin again."""


def container(build: Build, step: str) -> str:
    return f"build-{build.id[:18]}-{build.attempt}-{step}"


def cache_key(app_id: str) -> str:
    return f"{CACHES}{app_id}"


def allowed(settings: Settings) -> Allowed:
    return Allowed(
        memory_mb=settings.build_memory_mb,
        processes=settings.build_processes,
        disk_mb=settings.build_disk_mb,
        seconds=settings.build_timeout,
    )


@dataclass
class Steps:
    """One attempt at a build. Every step finds what an earlier daemon did already. took: see model.Build.steps."""

    platform: Platform
    build: Build
    took: dict[str, float] = field(default_factory=dict)

    async def run(self) -> builds.Built:
        """Compile, pack, store. Raises BuildFailed, MachineLost, StorageFull."""
        settings = self.platform.settings
        compiling = await self._start("compile")
        left = compiling.started_at + settings.build_timeout - time.time()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await self._finish("compile")
                await self._start("pack")
                await self._finish("pack")
        except TimeoutError:
            raise BuildFailed(build_ends.too_long(await self._stop(), allowed(settings))) from None
        return await self._store()

    def say(self, *lines: str) -> None:
        self.platform.transcripts.append(self.build.id, build_ends.notice(*lines), own=True)

    async def _start(self, step: str) -> Observed:
        containers = self.platform.containers
        with tempfile.TemporaryDirectory(dir=self.platform.settings.tmp_dir) as directory:
            try:
                spec = await self._stored(partial(self._spec, step, Path(directory)))
                for pause in START_PAUSES:
                    try:
                        return await insist(partial(containers.start, spec))
                    except ContainerError as error:  # what watches over it was killed as it booted, say
                        log.warning("a build is started again", build=self.build.id, error=error.message)
                        await insist(partial(containers.remove, spec.id))
                        await asyncio.sleep(pause)
                return await insist(partial(containers.start, spec))
            except (ContainerError, NotFound) as error:
                raise BuildFailed(f"The build could not be started: {error.message}") from error

    async def _finish(self, step: str) -> None:
        """Collect the output of a step until it has ended well."""
        id = container(self.build, step)
        watching = asyncio.create_task(self._watch(id))
        try:
            await insist(partial(self._read, id))
            seen, end = await insist(partial(self._exit, id))
        finally:
            watching.cancel()
        self.took[step] = round(end.at - seen.started_at, 2)
        if end.status == -1:
            raise MachineLost
        if end.status != 0:
            if found := await asyncio.to_thread(not_had, self.platform.settings.mirror_dir, self.build.id):
                # The last line names the push, as the last words of every failed build do.
                last = "Push again when these can be had; the operator sees more by: pogo mirror:log"
                self.say("What the mirror could not fetch for this build:", *found, last)
            why = build_ends.failure(end.status, end.oom, end.exceeded, allowed(self.platform.settings))
            raise BuildFailed(why or "the reason is in the build's output", said=not why)

    async def _watch(self, id: str) -> None:
        """The most memory that its processes held, as far as is seen; and enough of the disk stays free for others."""
        containers, disk = self.platform.containers, self.platform.settings.state_dir
        self.took.setdefault("peak", 0)
        while True:
            if used := (await containers.usage(background=True)).get(id):
                self.took["peak"] = max(self.took["peak"], used.total)
            if shutil.disk_usage(disk).free < RESERVE:
                await insist(partial(containers.stop, id, 0, exceeded="reserve"))
            await asyncio.sleep(_WATCH)

    async def _read(self, id: str) -> None:
        async for frame in self.platform.containers.logs(id, 0):
            if frame.lost:
                self.say(f"{frame.lost} lines of output came too fast and are lost.")
            self.platform.transcripts.append(self.build.id, frame.data)

    async def _exit(self, id: str) -> tuple[Observed, Exit]:
        while True:
            found = next((container for container in await self.platform.containers.list() if container.id == id), None)
            if found is None:
                raise MachineLost
            if found.exit:
                return found, found.exit
            await asyncio.sleep(0.1)

    async def _stop(self) -> str:
        """Kill what still runs; which limit it had met, besides that of time."""
        exceeded = ""
        for seen in await insist(self.platform.containers.list):
            if seen.labels.get("build") == self.build.id and seen.exit is None:
                await insist(partial(self.platform.containers.stop, seen.id, 0))
                _, end = await insist(partial(self._exit, seen.id))
                exceeded = end.exceeded
        return exceeded

    def _spec(self, step: str, directory: Path) -> ContainerSpec:
        build, settings, store = self.build, self.platform.settings, self.platform.store
        stack = sizes.find_stack(build.stack)
        document = build_inputs.build_file(
            build_id=build.id,
            stack=(stack.name, stack.buildpack_stack),
            source_version=build.source_version,
            buildpacks=build.buildpacks,
            config=build.app.config,
            env=build_environment(settings, build.app.name, build.id),
            slug_max_mb=settings.slug_max_mb,
            memory_mb=settings.build_memory_mb,
            registry=buildpacks.registry(self.platform.db),
            kind=build.kind,
            pushed=build.source.startswith(PUSHED),
            first=build.app.released_at is None,
        )
        (directory / "build.json").write_bytes(document)
        inputs = {"build.json": directory / "build.json"}
        if step == "compile":
            inputs["source.tar"] = store.local(build.source)
        if step == "compile" and build.kind == "app":
            try:
                inputs["cache.tar.zst"] = store.local(cache_key(build.app_id))
            except NotFound:
                log.info("first build of this app", app=build.app.name)
        return ContainerSpec(
            id=container(build, step),
            slot=build.app.slot,
            stack=build.stack,
            command=(*BUILDER, step),
            env=ENVIRONMENT,
            limits=Limits(
                memory=settings.build_memory_mb << 20,
                cpu_shares=CPU_SHARES,
                pids=settings.build_processes,
                background=True,
                disk=settings.build_disk_mb << 20,
            ),
            inputs=inputs,
            outputs=True,
            builder=True,
            continues=container(build, "compile") if step == "pack" else "",
            spool=SPOOL,
            labels={"kind": "build", "app": build.app_id, "build": build.id},
        )

    async def _store(self) -> builds.Built:
        """The slug to the store, under a key of this build alone; the cache follows when the release is made."""
        containers, store, id = self.platform.containers, self.platform.store, container(self.build, "pack")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.platform.settings.tmp_dir) as directory:
            files = {name: Path(directory) / name for name in ("result.json", "slug.squashfs")}
            for name, file in files.items():
                await insist(partial(containers.fetch, id, name, file))
            result = json.loads(files["result.json"].read_text())
            if (size := result.get("cache_size", 0)) > self.platform.settings.build_cache_mb << 20:
                limit = f"{self.platform.settings.build_cache_mb} MB (POGO_BUILD_CACHE_MB)"
                self.say(f"The build cache of {size >> 20} MB is larger than {limit}: it is not kept.")
            blob = slug_key(result["checksum"], self.build)
            await self._stored(partial(store.put_file, blob, files["slug.squashfs"]))
        self.took["store"] = round(time.monotonic() - began, 2)
        return builds.Built(
            blob=blob,
            checksum=result["checksum"],
            size=result["size"],
            process_types=result["process_types"],
            detected=result["detected"],
            buildpacks=[pack.get("name") or pack["url"] for pack in result["buildpacks"]],
            config_vars=result.get("config_vars", {}),
        )

    async def _stored(self, action: Callable[[], T]) -> T:
        """Repeat, with pauses, what the object store cannot do now; the pusher is told. BuildFailed in the end."""
        clock = asyncio.get_running_loop().time
        deadline, tries = clock() + STORE_PATIENCE, 0
        while True:
            try:
                return await self.platform.ask_store(action)
            except (StorageFull, ContainerError):
                raise
            except (Unavailable, OSError) as error:
                log.warning("the object store fails", build=self.build.id, error=str(error))
                if clock() > deadline:
                    text = f"The platform's store for slugs has failed for {STORE_PATIENCE / 60:.0f} minutes: {error}"
                    raise BuildFailed(f"{text} Nothing was released. Push again later.") from error
                if not tries:
                    self.say(f"The platform's store for slugs fails: {error}", "This build waits, and tries again.")
            await asyncio.sleep(STORE_PAUSES[min(tries, len(STORE_PAUSES) - 1)])
            tries += 1
