"""Releases: listed, rolled back to, made from a slug."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.resources import slugs
from pogo.api.show import deploys as show
from pogo.errors import InvalidParams
from pogo.model import App, Release
from pogo.services import releases

router = resource_router()


class NewRelease(Body):
    """release: id or version to roll back to; else slug: id of the slug to release."""

    release: str | None = None
    slug: str | None = None
    description: Annotated[str | None, Field(max_length=1000)] = None


@router.get("/apps/{app}/releases")
def index(me: Me, app: TheApp, extended: bool = False) -> Response:
    current = _current(me, app)

    def shown(row: Release) -> dict[str, Any]:
        return show.release(me.platform.settings, app, row, current, extended=extended)

    return listing(me, releases.list_releases(me.platform.db, app), shown, "version", "id")


@router.get("/apps/{app}/releases/{release}")
def info(me: Me, app: TheApp, release: str) -> Response:
    return _one(me, app, releases.find_release(me.platform.db, app, release))


@router.post("/apps/{app}/releases")
async def create(me: Me, app: TheApp, body: NewRelease) -> Response:
    """A slug that was just uploaded is waited for. Async: that must not hold a thread."""
    if body.slug and not body.release:
        await slugs.until_ready(me.platform, releases.find_slug(me.platform.db, app, body.slug))
    return await run_in_threadpool(_create, me, app, body)


def _create(me: Caller, app: App, body: NewRelease) -> Response:
    db = me.platform.db
    if body.release:
        made = releases.rollback(db, app, me.user, releases.find_release(db, app, body.release))
    elif body.slug:
        slug = releases.find_slug(db, app, body.slug)
        description = body.description or (f"Deploy {slug.commit[:8]}" if slug.commit else "Deploy")
        made = releases.release_slug(db, app, me.user, slug, description)
    else:
        raise InvalidParams("Invalid request: give `release` (to roll back to it) or `slug` (to release it again)")
    announce.released(me, app, made)
    return _one(me, app, made, 201)


def _one(me: Caller, app: App, release: Release, status: int = 200) -> Response:
    return answer(show.release(me.platform.settings, app, release, _current(me, app)), status)


def _current(me: Caller, app: App) -> str | None:
    current = releases.current_release(me.platform.db, app.id)
    return current.id if current else None
