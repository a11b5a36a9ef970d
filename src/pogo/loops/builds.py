"""Works on builds: claims them in fair order, lets each begin when there is room, and makes the release."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from pogo.errors import PogoError, StorageFull
from pogo.loops import build_clearing
from pogo.loops.admission import Admission
from pogo.loops.build_steps import BuildFailed, MachineLost, Steps
from pogo.model import Build
from pogo.rules import build_ends
from pogo.services import builds
from pogo.services.platform import Platform

log = structlog.get_logger()
PERIOD = 2.0
HEARTBEAT = builds.CLAIM.total_seconds() / 4
PAUSES = (2.0, 10.0, 30.0, 60.0)  # seconds, after the first fault of the platform, the second …
CLEAR_AGAIN = 30.0
CLEARED_AT_ONCE = 8
WHAT: dict[type[Exception], str] = {MachineLost: "its machine went down"}


@dataclass
class Builds:
    """At work on builds; nothing of it is needed by the next daemon. admission: see there."""

    platform: Platform
    admission: Admission = field(init=False)
    _at_work: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    _clearing: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.admission = Admission(self.platform, others=lambda: bool(self._begun))

    async def run(self) -> None:
        """Claim and work, as many at once as the settings allow, for ever."""
        try:
            while True:
                try:
                    await self._turn()
                except PogoError as error:
                    log.warning("cannot work on builds", error=str(error))
                except Exception:
                    log.exception("cannot work on builds")
                await self.platform.hints.wait("builds", PERIOD)
        finally:
            for task in (*self._at_work.values(), *self._clearing.values()):
                task.cancel()

    async def _turn(self) -> None:
        platform, places = self.platform, self.platform.settings.build_concurrency
        for ended in (await platform.call(builds.ended_builds))[:CLEARED_AT_ONCE]:
            if ended.id not in self._clearing and ended.id not in self._at_work:
                self._keep(self._clearing, ended.id, self._clear(ended))
        while len(self._at_work) < places:
            build = await platform.call(builds.claim_build, platform.node)
            if build is None:
                break
            self._keep(self._at_work, build.id, self._work(build))
        for id, text in await platform.call(builds.tell_waiting, places):
            self.platform.transcripts.append(id, build_ends.notice(text), own=True)

    def _keep(self, tasks: dict[str, asyncio.Task[None]], id: str, work: Coroutine[Any, Any, None]) -> None:
        task = tasks[id] = asyncio.create_task(work)
        task.add_done_callback(lambda _: tasks.pop(id, None))
        task.add_done_callback(lambda _: self.platform.hints.wake("builds"))

    async def _clear(self, ended: Build) -> None:
        """After somebody's kill -9, or a cancellation."""
        try:
            await build_clearing.clear(self.platform, ended)
        except (PogoError, OSError) as error:
            log.warning("cannot clear a build away", build=ended.id, error=str(error))
            await asyncio.sleep(CLEAR_AGAIN)
        except Exception:
            log.exception("cannot clear a build away", build=ended.id)
            await asyncio.sleep(CLEAR_AGAIN)

    async def _work(self, build: Build) -> None:
        """One claimed build to its end; given up, with nothing done, when the claim is lost."""
        job = asyncio.create_task(self._finish(build))
        try:
            while not job.done():
                beat = asyncio.create_task(self.platform.hints.wait("cancelled", HEARTBEAT))
                await asyncio.wait([job, beat], return_when=asyncio.FIRST_COMPLETED)
                beat.cancel()
                if not job.done() and not await self._holds(build):
                    job.cancel()
                    await asyncio.wait([job])
            if not job.cancelled() and (failure := job.exception()):
                log.error("build interrupted, will be taken up again", build=build.id, exc_info=failure)
        finally:
            job.cancel()
            self._begun.discard(build.id)
            self._ended.discard(build.id)

    async def _holds(self, build: Build) -> bool:
        try:
            return await self.platform.call(builds.keep_claim, build) or build.id in self._ended
        except PogoError as error:
            log.warning("cannot renew the claim", build=build.id, error=str(error))
            return True

    async def _finish(self, build: Build) -> None:
        """Admit, build, record the end, clear away; a fault of the platform puts it off instead, some times."""
        try:
            refused = await self.admission.admit(build) if build.preamble is None else ""
            if refused:
                raise BuildFailed(refused)
            self._begun.add(build.id)
            await self._build(build)
        except BuildFailed as failure:
            await self._fail(build, failure.text, said=failure.said)
        except StorageFull as full:
            await self._fail(build, full.message)
        except Exception as error:
            if not isinstance(error, (PogoError, MachineLost)):
                log.exception("fault in a build", build=build.id)
            if await self._put_off(build, error):
                return
        self._ended.add(build.id)
        self.platform.hints.wake("releases", "dynos")
        ended = await self.platform.call(builds.get_build, build.id)
        if ended is not None:
            await build_clearing.clear(self.platform, ended)

    async def _put_off(self, build: Build, error: Exception) -> bool:
        """Begin again later, after a fault of the platform; False where that was tried often enough: it has failed."""
        what = error.message if isinstance(error, PogoError) else WHAT.get(type(error), "an internal error")
        if build.troubles >= len(PAUSES):
            times = len(PAUSES) + 1
            text = f"The platform could not finish the build, in {times} attempts ({what.rstrip('.')})."
            await self._fail(build, f"{text} Nothing was released. Push again later, or ask its operator.")
            return False
        pause = PAUSES[build.troubles]
        text = f"A fault of the platform interrupted this build ({what.rstrip('.')})."
        notice = build_ends.notice(f"{text} It begins again in {pause:.0f} seconds.")
        self.platform.transcripts.append(build.id, notice, own=True)
        await self.platform.call(builds.put_off, build, pause, self.platform.transcripts.size(build.id))
        asyncio.get_running_loop().call_later(pause, self.platform.hints.wake, "builds")
        return True

    async def _fail(self, build: Build, text: str, *, said: bool = False) -> None:
        """Containers go first: on a full disk the words and the record may need their space."""
        try:
            await build_clearing.remove_containers(self.platform, build)
        except PogoError as error:
            log.warning("containers of a build are left for later", build=build.id, error=error.message)
        if not said:
            try:
                self.platform.transcripts.append(build.id, build_ends.rejected(text), own=True)
            except StorageFull as full:
                log.warning("output of a build is lost", build=build.id, error=full.message)
        if await self.platform.call(builds.fail_build, build, text):
            try:
                self._say(build, f"Build failed: {text}")
            except StorageFull as full:
                log.warning("a log line is lost", app=build.app.name, error=full.message)

    async def _build(self, build: Build) -> None:
        """Compile, pack, store, release. Every step finds what an earlier daemon did already."""
        platform, transcripts = self.platform, self.platform.transcripts
        if build.preamble is None:
            self._say(build, f"Build started by user {build.user.email}")
        transcripts.restart(build.id, await platform.call(builds.begin, build, transcripts.size(build.id)))
        if build.attempt:
            await build_clearing.remove_containers(platform, build, spare_attempt=True)
        steps = Steps(platform, build)
        try:
            built = await steps.run()
        finally:
            await platform.call(builds.note_steps, build, steps.took)
        release = await platform.call(builds.finish_build, build, built, hold=True)
        if release is None:
            return
        app = release.app
        lines = [f"       {build_ends.summary(steps.took)}", "-----> Launching..."]
        if release.status == "pending":
            lines.append(
                " !     Release command declared: this new release will not be available until the command succeeds."
            )
        lines += [
            f"       Released v{release.version}",
            f"       {platform.settings.app_url(app.name)} deployed to Pogo",
        ]
        transcripts.append(build.id, "".join(f"{line}\n" for line in lines).encode(), own=True)
        for text in (release.description, f"Release v{release.version} created"):
            self._say(build, f"{text} by user {build.user.email}")
        self._say(build, "Build succeeded")

    def _say(self, build: Build, text: str) -> None:
        self.platform.say(build.app_id, "api", text, at=time.time())
