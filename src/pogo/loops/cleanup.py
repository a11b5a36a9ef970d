"""Clears away what destroyed apps left, containers first, then files, then the row; and what is no longer kept."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass

from pogo.backup import catalog
from pogo.loops import build_clearing, pruning
from pogo.model import App
from pogo.services import apps, garbage
from pogo.services.platform import Platform
from pogo.store.marks import foreign, own_mark

PERIOD = 30.0
PRUNE_EVERY = 600.0


@dataclass
class Cleanup:
    platform: Platform
    _prune_at: float = 0.0

    async def turn(self) -> bool:
        platform = self.platform
        await build_clearing.clear_strays(platform)
        living = {container.labels.get("app") for container in await platform.containers.list()}
        for app in await platform.call(apps.destroyed_apps):
            if app.id in living:
                platform.hints.wake("dynos")
            else:
                await asyncio.to_thread(self._erase, app)
        if time.monotonic() >= self._prune_at:
            await asyncio.to_thread(pruning.prune, platform)
            self._prune_at = time.monotonic() + PRUNE_EVERY
        return False

    def _erase(self, app: App) -> None:
        """Files before the row: killed in between, the row brings us here again."""
        platform = self.platform
        blobs = garbage.blobs_of(platform.db, app.id)
        if not foreign(platform.store, own_mark(platform.settings.store_id)):
            # What a backup names goes with the last backup, as a slug of no release.
            for key in {*blobs.only, f"caches/{app.id}"} - catalog.held(platform.store):
                platform.store.delete(key)
        for transcript in blobs.transcripts:
            platform.transcripts.remove(transcript)
        shutil.rmtree(platform.settings.git_dir / f"{app.id}.git", ignore_errors=True)
        platform.logs.destroy(app.id)
        platform.traffic.destroy(app.id)
        apps.forget_app(platform.db, app.id)
