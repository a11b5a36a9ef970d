"""Runs release phases: a release with a `release` process type goes live only when that command succeeded."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pogo.model import Release
from pogo.rules import formation
from pogo.services import dynos, releases
from pogo.services.platform import Platform

PERIOD = 1.0


@dataclass
class Releases:
    platform: Platform

    async def turn(self) -> bool:
        changed = False
        for release in await self.platform.call(releases.pending_releases):
            changed |= await self._advance(release)
        return changed

    async def _advance(self, release: Release) -> bool:
        platform = self.platform
        dyno = await platform.call(releases.release_dyno, release.id)
        if dyno is None:
            # The transcript begins before the process does, so that who follows it misses nothing.
            platform.transcripts.restart(release.id)
            await platform.call(dynos.start_release_phase, release.id)
            platform.hints.wake("dynos")
            return False
        if dyno.state != "complete":
            return False
        succeeded = dyno.exit_status == 0
        platform.transcripts.finish(release.id)
        if await platform.call(releases.conclude, release.id, succeeded=succeeded):
            text = f"Release v{release.version} command {_outcome(dyno.exit_status)}"
            platform.say(release.app_id, "release", text, at=time.time())
            platform.hints.wake("dynos", "router", "released")
        return True


def _outcome(status: int | None) -> str:
    if status == 0:
        return "succeeded"
    stays = "the previous release stays"
    if status == formation.LOST:
        return f"was interrupted, or could not be started; it is not run again by itself, and {stays}"
    return f"failed (exit status {status}); {stays}"
