"""Slugs: shown, and made elsewhere and uploaded (`POST /slugs`, PUT of the archive, `POST /releases`)."""

from __future__ import annotations

import asyncio

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import Body, name_of, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import deploys as show
from pogo.errors import InvalidParams, Unavailable
from pogo.model import Slug
from pogo.services import builds, releases, uploads
from pogo.services.platform import Platform

router = resource_router()

PATIENCE = 25.0
"""Seconds that a release waits for its slug: less than clients and proxies wait for an answer."""
_NO_REASON = "the archive could not be packed"
_MOST_WORDS = 600


class NewSlug(Body):
    """checksum: `SHA256:<hex>` of the archive to come."""

    process_types: dict[str, str]
    buildpack_provided_description: str | None = None
    checksum: str | None = None
    commit: str | None = None
    commit_description: str | None = None
    stack: str | dict[str, str] | None = None


@router.post("/apps/{app}/slugs")
def create(me: Me, app: TheApp, body: NewSlug) -> Response:
    """A slug without its archive, and in `blob` the URL to PUT it to: a .tgz whose entries lie below ./app/."""
    new = uploads.NewSlug(
        process_types=body.process_types,
        stack=name_of(body.stack) or "",
        commit=body.commit,
        commit_description=body.commit_description,
        detected=body.buildpack_provided_description,
        checksum=body.checksum or "",
    )
    return answer(show.slug(me.platform.settings, uploads.announce(me.platform.db, app, new)), 201)


@router.get("/apps/{app}/slugs/{slug}")
def info(me: Me, app: TheApp, slug: str) -> Response:
    return answer(show.slug(me.platform.settings, releases.find_slug(me.platform.db, app, slug)))


async def until_ready(platform: Platform, slug: Slug) -> None:
    """Return when an uploaded slug can run. InvalidParams: it never will. Unavailable: it takes longer."""
    if slug.status == uploads.READY:
        return
    work = await platform.call(uploads.last_upload, slug.id)
    if work is None:
        raise InvalidParams("Nothing was uploaded for that slug yet. PUT its archive to the URL in its blob first.")
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while work.status == "pending":
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable("The slug that was uploaded is still being packed. Try again in a moment.")
        await asyncio.sleep(0.1)
        work = await platform.call(builds.get_build, work.id) or work
    if work.status == "failed":
        raise InvalidParams(f"That slug cannot run: {await _why(platform, work.id)}")


async def _why(platform: Platform, build_id: str) -> str:
    """What the builder said of the archive: the warnings in its output."""
    told = b""
    if platform.transcripts.exists(build_id):
        async for piece in platform.transcripts.follow(build_id):
            told = (told + piece)[-20_000:]
    warnings = (line[2:].strip() for line in told.decode(errors="replace").splitlines() if line.startswith(" !"))
    words = " ".join(line for line in warnings if line and not line.startswith("Push "))
    return (words or _NO_REASON)[:_MOST_WORDS]
