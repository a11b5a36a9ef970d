"""Builds from source archives: `git push` through another door."""

from __future__ import annotations

import asyncio
import tempfile
import uuid

from fastapi import Response

from pogo.api import downloads
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.resources.buildpacks import checked
from pogo.api.show import deploys as show
from pogo.api.streaming import file_chunks, spool
from pogo.errors import InvalidParams
from pogo.services import builds

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
        await asyncio.to_thread(platform.store.put, source, file_chunks(file))
    build = await platform.call(builds.start_build, app, me.user, source, blob.version, packs)
    platform.hints.wake("builds")
    return answer(show.build(platform.settings, build), 201)


@router.get("/apps/{app}/builds")
def index(me: Me, app: TheApp) -> Response:
    rows = builds.list_builds(me.platform.db, app)
    return listing(me, rows, lambda row: show.build(me.platform.settings, row), "created_at", "id")


@router.get("/apps/{app}/builds/{build}")
def info(me: Me, app: TheApp, build: str) -> Response:
    return answer(show.build(me.platform.settings, builds.find_build(me.platform.db, app, build)))
