"""App setups: what app.json wants done after an app's first build."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pogo.logs import Filter
from pogo.model import AppSetup
from pogo.rules import formation
from pogo.services import builds, dynos, releases, setups
from pogo.services.platform import Platform

PERIOD = 1.0
_LINES = 1000


@dataclass
class Setups:
    platform: Platform

    async def turn(self) -> bool:
        changed = False
        for setup in await self.platform.call(setups.pending_setups):
            changed |= await self._advance(setup)
        return changed

    async def _advance(self, setup: AppSetup) -> bool:
        """One step; True where something was changed."""
        platform = self.platform
        build = await platform.call(builds.get_build, setup.build_id)
        if build is None or build.status == "failed":
            return await self._conclude(setup, "The build failed; the reason is in its output.")
        if build.status == "pending" or build.release_id is None:
            return False
        release = await platform.call(releases.get_release, build.release_id)
        if release is None or release.status == "failed":
            return await self._conclude(setup, "The release command failed.")
        if release.status == "pending":
            return False
        if setup.dyno_id is None:
            await platform.call(setups.after_release, setup.id)
            platform.hints.wake("dynos")
            return True
        dyno = await platform.call(dynos.get_dyno, setup.dyno_id)
        if dyno is not None and (dyno.state != "complete" or dyno.container):
            return False  # its output may still be on the way to the log
        status = formation.LOST if dyno is None or dyno.exit_status is None else dyno.exit_status
        output = await self._output(setup, dyno.name) if dyno else ""
        failure = None if status == 0 else f"The postdeploy script failed (exit status {status})."
        return await self._conclude(setup, failure, status, output)

    async def _output(self, setup: AppSetup, name: str) -> str:
        wanted = Filter(source="app", dyno=name)
        lines = await asyncio.to_thread(self.platform.logs.recent, setup.app_id, _LINES, wanted)
        return "".join(f"{line.text}\n" for _, line in lines)

    async def _conclude(
        self, setup: AppSetup, failure: str | None, status: int | None = None, output: str = ""
    ) -> bool:
        await self.platform.call(setups.conclude, setup.id, failure, exit_code=status, output=output)
        return True
