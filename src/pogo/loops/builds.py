"""Works on builds: claims them one by one, runs the builder in containers, stores the slug, makes the release."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from pogo.containers import ContainerSpec, Exit, Limits
from pogo.errors import ContainerError, NotFound, PogoError, StorageFull
from pogo.loops.turns import insist
from pogo.model import Build
from pogo.rules import build_inputs, sizes
from pogo.services import builds
from pogo.services.build_environment import build_environment
from pogo.services.platform import Platform

log = structlog.get_logger()
PERIOD = 2.0
HEARTBEAT = builds.CLAIM.total_seconds() / 4
ATTEMPTS = 3
SPOOL = 64 << 20
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


@dataclass
class Builds:
    platform: Platform

    async def run(self) -> None:
        """Claim and work, as many at once as the settings allow, for ever."""
        at_work: set[asyncio.Task[None]] = set()
        while True:
            try:
                while len(at_work) < self.platform.settings.build_concurrency:
                    build = await self.platform.call(builds.claim_build, self.platform.node)
                    if build is None:
                        break
                    task = asyncio.create_task(self._work(build))
                    at_work.add(task)
                    task.add_done_callback(at_work.discard)
                    task.add_done_callback(lambda _: self.platform.hints.wake("builds"))
            except PogoError as error:
                log.warning("cannot claim builds", error=str(error))
            await self.platform.hints.wait("builds", PERIOD)

    async def _work(self, build: Build) -> None:
        """One claimed build to its end; given up, with nothing done, when the claim is lost."""
        job = asyncio.create_task(self._finish(build))
        while not job.done():
            await asyncio.wait([job], timeout=HEARTBEAT)
            try:
                if not job.done() and not await self.platform.call(builds.keep_claim, build):
                    job.cancel()
                    await asyncio.wait([job])
                    if await self.platform.call(builds.get_build, build.id) is None or build.app.destroyed_at:
                        await self._clear(build)
            except PogoError as error:
                log.warning("cannot renew the claim", build=build.id, error=str(error))
        failure = None if job.cancelled() else job.exception()
        if failure:
            log.error("build interrupted, will be taken up again", build=build.id, exc_info=failure)

    async def _finish(self, build: Build) -> None:
        try:
            await self._build(build)
        except BuildFailed as failure:
            await self._fail(build, failure.text, said=failure.said)
        except StorageFull as full:
            await self._fail(build, full.message, said=False)
        self.platform.transcripts.finish(build.id)
        self.platform.hints.wake("releases", "dynos")
        await self._clear(build)

    async def _fail(self, build: Build, text: str, *, said: bool) -> None:
        """Containers go first: on a full disk the words and the record may need their space."""
        await self._clear(build, keep_source=True)
        if not said:
            try:
                self.platform.transcripts.append(build.id, build_inputs.rejected(text))
            except StorageFull as full:
                log.warning("output of a build is lost", build=build.id, error=full.message)
        if await self.platform.call(builds.fail_build, build, text):
            try:
                self._say(build, f"Build failed: {text}")
            except StorageFull as full:
                log.warning("a log line is lost", app=build.app.name, error=full.message)

    async def _build(self, build: Build) -> None:
        """Compile, pack, store, release. Every step finds what an earlier daemon did already."""
        settings = self.platform.settings
        if not self.platform.transcripts.exists(build.id):
            self._say(build, f"Build started by user {build.user.email}")
        while True:
            self.platform.transcripts.restart(build.id)
            try:
                async with asyncio.timeout(settings.build_timeout):
                    await self._run(build, "compile")
                    await self._run(build, "pack")
                    built = await self._store(build)
                break
            except TimeoutError:
                minutes = settings.build_timeout // 60
                raise BuildFailed(f"The build took longer than {minutes} minutes (POGO_BUILD_TIMEOUT).") from None
            except MachineLost:
                if build.attempt + 1 >= ATTEMPTS:
                    raise BuildFailed("The machine went down during the build, three times. Push again.") from None
                await self._clear(build, keep_source=True)
                build.attempt = (await self.platform.call(builds.next_attempt, build)).attempt
        release = await self.platform.call(builds.finish_build, build, built)
        if release is None:
            return
        app = release.app
        lines = ["-----> Launching..."]
        if release.status == "pending":
            lines.append(
                " !     Release command declared: this new release will not be available until the command succeeds."
            )
        lines += [f"       Released v{release.version}", f"       {settings.app_url(app.name)} deployed to Pogo"]
        self.platform.transcripts.append(build.id, "".join(f"{line}\n" for line in lines).encode())
        for text in (release.description, f"Release v{release.version} created"):
            self._say(build, f"{text} by user {build.user.email}")
        self._say(build, "Build succeeded")

    def _say(self, build: Build, text: str) -> None:
        self.platform.say(build.app_id, "api", text, at=time.time())

    async def _run(self, build: Build, step: str) -> None:
        """Run one step of the builder to its end, or watch the one that runs already."""
        containers, id = self.platform.containers, _container(build, step)
        with tempfile.TemporaryDirectory(dir=self.platform.settings.tmp_dir) as directory:
            try:
                spec = await asyncio.to_thread(self._spec, build, step, Path(directory))
                await insist(partial(containers.start, spec))
            except (ContainerError, NotFound) as error:
                text = build_inputs.failure_text(0, oom=False, memory_mb=0, refused=error.message)
                raise BuildFailed(text) from error
        await insist(partial(self._read, build, id))
        end = await insist(partial(self._exit, id))
        if end.status in build_inputs.EXPLAINED and not end.oom:
            raise BuildFailed("the reason is in the build's output", said=True)
        if end.status == -1:
            raise MachineLost
        if end.status != 0:
            memory = self.platform.settings.build_memory_mb
            raise BuildFailed(build_inputs.failure_text(end.status, oom=end.oom, memory_mb=memory))

    async def _read(self, build: Build, id: str) -> None:
        offset = 0
        async for frame in self.platform.containers.logs(id, offset):
            self.platform.transcripts.append(build.id, frame.data)

    async def _exit(self, id: str) -> Exit:
        while True:
            found = next((container for container in await self.platform.containers.list() if container.id == id), None)
            if found is None:
                raise MachineLost
            if found.exit:
                return found.exit
            await asyncio.sleep(0.1)

    def _spec(self, build: Build, step: str, directory: Path) -> ContainerSpec:
        settings, store = self.platform.settings, self.platform.store
        stack = sizes.find_stack(build.stack)
        document = build_inputs.build_file(
            build_id=build.id,
            stack=(stack.name, stack.buildpack_stack),
            source_version=build.source_version,
            buildpacks=build.buildpacks,
            config=build.app.config,
            env=build_environment(settings, build.app.name, build.id),
            slug_max_mb=settings.slug_max_mb,
        )
        (directory / "build.json").write_bytes(document)
        inputs = {"build.json": directory / "build.json"}
        if step == "compile":
            inputs["source.tar"] = store.local(build.source)
            try:
                inputs["cache.tar.zst"] = store.local(_cache_key(build))
            except NotFound:
                log.info("first build of this app", app=build.app.name)
        return ContainerSpec(
            id=_container(build, step),
            slot=build.app.slot,
            stack=build.stack,
            command=(*BUILDER, step),
            env=ENVIRONMENT,
            # Builds give way to dynos: half the weight of the smallest, whatever they do.
            limits=Limits(memory=settings.build_memory_mb << 20, cpu_shares=64, pids=4096),
            inputs=inputs,
            outputs=True,
            builder=True,
            continues=_container(build, "compile") if step == "pack" else "",
            spool=SPOOL,
            labels={"kind": "build", "app": build.app_id, "build": build.id},
        )

    async def _store(self, build: Build) -> builds.Built:
        containers, store, id = self.platform.containers, self.platform.store, _container(build, "pack")
        with tempfile.TemporaryDirectory(dir=self.platform.settings.tmp_dir) as directory:
            files = {name: Path(directory) / name for name in ("result.json", "slug.squashfs", "cache.tar.zst")}
            for name, file in files.items():
                await insist(partial(containers.fetch, id, name, file))
            result = json.loads(files["result.json"].read_text())
            blob = f"slugs/{result['checksum']}.squashfs"
            await asyncio.to_thread(store.put_file, blob, files["slug.squashfs"])
            await asyncio.to_thread(store.put_file, _cache_key(build), files["cache.tar.zst"])
        return builds.Built(
            blob=blob,
            checksum=result["checksum"],
            size=result["size"],
            process_types=result["process_types"],
            detected=result["detected"],
            buildpacks=[pack.get("name") or pack["url"] for pack in result["buildpacks"]],
        )

    async def _clear(self, build: Build, *, keep_source: bool = False) -> None:
        for step in ("pack", "compile"):
            id = _container(build, step)
            await insist(partial(self.platform.containers.remove, id))
        if not keep_source:
            await asyncio.to_thread(self.platform.store.delete, build.source)


def _container(build: Build, step: str) -> str:
    return f"build-{build.id[:18]}-{build.attempt}-{step}"


def _cache_key(build: Build) -> str:
    return f"caches/{build.app_id}"


async def clear_strays(platform: Platform) -> None:
    """Remove containers of builds that have ended, or whose app was destroyed; left by a killed daemon."""
    for container in await platform.containers.list():
        if container.labels.get("kind") != "build":
            continue
        build = await platform.call(builds.get_build, container.labels["build"])
        if build is None or build.status != "pending":
            if build is not None:
                platform.transcripts.finish(build.id)
                await asyncio.to_thread(platform.store.delete, build.source)
            await platform.containers.remove(container.id)
