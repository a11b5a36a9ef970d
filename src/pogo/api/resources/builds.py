"""Builds from source archives: `git push` through another door."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Response

from pogo.api import announce, downloads
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.resources.buildpacks import checked
from pogo.api.show import deploys as show
from pogo.api.streaming import file_chunks, spool
from pogo.errors import InvalidParams
from pogo.model import Build
from pogo.services import builds
from pogo.services.garbage import CACHES

router = resource_router()


class SourceBlob(Body):
    """url: of a .tar or .tar.gz. checksum: `SHA256:<hex>`. version: shown as what was deployed."""

    url: str
    checksum: str | None = None
    version: str | None = None


class Pack(Body):
    url: str | None = None
    name: str | None = None


class NewBuild(Body):
    source_blob: SourceBlob
    buildpacks: list[Pack] | None = None


@router.post("/apps/{app}/builds")
async def create(me: Me, app: TheApp, body: NewBuild) -> Response:
    """Fetch the source, then queue the build. Async: a slow source must not hold a thread."""
    platform, blob = me.platform, body.source_blob
    packs = None
    if body.buildpacks:
        packs = await platform.call(checked, [pack.url or pack.name or "" for pack in body.buildpacks])
    chunks = await downloads.open_source(platform, blob.url, private=me.user.admin)
    source = f"sources/{uuid.uuid4()}"
    with tempfile.TemporaryFile(dir=platform.settings.tmp_dir) as file:
        digest = await spool(chunks, file, platform.settings.slug_max_mb << 20)
        expected = (blob.checksum or "").lower().removeprefix("sha256:")
        if expected and expected != digest:
            raise InvalidParams(f"The checksum of the source does not match: it is SHA256:{digest}.")
        await platform.ask_store(platform.store.put, source, file_chunks(file))
    build = await platform.call(builds.start_build, app, me.user, source, blob.version, packs)
    platform.hints.wake("builds")
    return answer(await asyncio.to_thread(_shown, me, build), 201)


@dataclass(frozen=True)
class _Listed:
    """What a list is ordered by. started_at: that of a build that waits is when it was queued."""

    build: Build
    number: int
    created_at: datetime
    started_at: datetime
    id: str


@router.get("/apps/{app}/builds")
def index(me: Me, app: TheApp) -> Response:
    rows = [
        _Listed(row, number, row.created_at, row.started_at or row.created_at, row.id)
        for number, row in enumerate(builds.list_builds(me.platform.db, app), start=1)
    ]
    settings = me.platform.settings
    return listing(me, rows, lambda row: show.build(settings, row.build, row.number), "created_at", "started_at", "id")


@router.get("/apps/{app}/builds/{build}")
def info(me: Me, app: TheApp, build: str) -> Response:
    return answer(_shown(me, builds.find_build(me.platform.db, app, build)))


@router.delete("/apps/{app}/builds/{build}")
def cancel(me: Me, app: TheApp, build: str) -> Response:
    """Who follows its output reads that it was cancelled. 422 where it has ended."""
    platform = me.platform
    cancelled = builds.cancel_build(platform.db, builds.find_build(platform.db, app, build), me.user)
    platform.hints.wake("builds", "cancelled")
    announce.note(me, app, f"Build {builds.build_number(platform.db, cancelled)} cancelled")
    return answer(_shown(me, cancelled))


@router.delete("/apps/{app}/build-cache")
def empty(me: Me, app: TheApp) -> Response:
    """The next build starts without a cache; one that runs does not save its own."""
    builds.purge_cache(me.platform.db, app)
    me.platform.store.delete(f"{CACHES}{app.id}")
    return answer({})


def _shown(me: Caller, build: Build) -> dict[str, Any]:
    return show.build(me.platform.settings, build, builds.build_number(me.platform.db, build))
