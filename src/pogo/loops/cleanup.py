"""Clears away what destroyed apps and ended builds left: containers first, then files, then the row."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass

from pogo.loops import builds as builds_loop
from pogo.model import App
from pogo.services import apps, garbage
from pogo.services.platform import Platform

PERIOD = 30.0


@dataclass
class Cleanup:
    platform: Platform

    async def turn(self) -> bool:
        platform = self.platform
        await builds_loop.clear_strays(platform)
        living = {container.labels.get("app") for container in await platform.containers.list()}
        for app in await platform.call(apps.destroyed_apps):
            if app.id in living:
                platform.hints.wake("dynos")
            else:
                await asyncio.to_thread(self._erase, app)
        return False

    def _erase(self, app: App) -> None:
        """Files before the row: killed in between, the row brings us here again."""
        platform = self.platform
        blobs = garbage.blobs_of(platform.db, app.id)
        for key in [*blobs.only, f"caches/{app.id}"]:
            platform.store.delete(key)
        for transcript in blobs.transcripts:
            platform.transcripts.remove(transcript)
        shutil.rmtree(platform.settings.git_dir / f"{app.id}.git", ignore_errors=True)
        platform.logs.destroy(app.id)
        apps.forget_app(platform.db, app.id)
