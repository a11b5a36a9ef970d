"""What is done after a build's end, however it ended, and whoever was killed meanwhile. Every step may be repeated."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import structlog

from pogo.errors import ContainerError, NotFound, PogoError, StorageFull
from pogo.loops.build_steps import cache_key, container
from pogo.loops.turns import insist
from pogo.model import Build
from pogo.rules import build_ends
from pogo.services import builds
from pogo.services.platform import Platform

log = structlog.get_logger()


async def clear(platform: Platform, build: Build) -> None:
    """End the output of an ended build, save its cache, and remove its containers and its source."""
    end_output(platform, build)
    if build.status == "succeeded":
        await _save_cache(platform, build)
    await remove_containers(platform, build)
    await platform.ask_store(platform.store.delete, build.source)
    await platform.call(builds.cleared, build)


def end_output(platform: Platform, build: Build) -> None:
    """The last words, unless they were said, and the mark of the end. No await: two callers say it once."""
    transcripts = platform.transcripts
    if transcripts.finished(build.id):
        return
    try:
        if build.failure and b"Push " not in transcripts.tail(build.id, 200):
            transcripts.append(build.id, build_ends.rejected(build.failure), own=True)
    except StorageFull as full:
        log.warning("output of a build is lost", build=build.id, error=full.message)
    transcripts.finish(build.id)


async def remove_containers(platform: Platform, build: Build, *, spare_attempt: bool = False) -> None:
    """Of all attempts, or all but the present one; the ones that others stand on last."""
    spared = [container(build, step) for step in ("compile", "pack")] if spare_attempt else []
    of_build = (one.id for one in await insist(platform.containers.list) if one.labels.get("build") == build.id)
    seen = [id for id in of_build if id not in spared]
    for id in sorted(seen, key=lambda id: id.endswith("-compile")):
        await insist(partial(platform.containers.remove, id))


async def _save_cache(platform: Platform, build: Build) -> None:
    """The build cache, whole or not at all, unless a later build or a purge came before. Without it builds are slow."""
    if not await platform.call(builds.may_save_cache, build):
        return
    with tempfile.TemporaryDirectory(dir=platform.settings.tmp_dir) as directory:
        file = Path(directory) / "cache"
        try:
            await insist(partial(platform.containers.fetch, container(build, "pack"), "cache.tar.zst", file))
            if file.stat().st_size > platform.settings.build_cache_mb << 20:
                return  # the pusher was told: see `Builds`
            await platform.ask_store(platform.store.put_file, cache_key(build.app_id), file)
        except (ContainerError, NotFound):
            return  # its container is gone: killed after it was removed, or with the machine
        except (PogoError, OSError) as error:
            log.warning("a build cache is not saved", build=build.id, error=str(error))
        if not await platform.call(builds.may_save_cache, build):
            await platform.ask_store(platform.store.delete, cache_key(build.app_id))  # purged meanwhile


async def clear_strays(platform: Platform) -> None:
    """Remove containers of builds whose app is gone altogether."""
    for seen in await platform.containers.list():
        if seen.labels.get("kind") == "build" and await platform.call(builds.get_build, seen.labels["build"]) is None:
            await platform.containers.remove(seen.id)
