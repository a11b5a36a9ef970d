"""Buildpacks of an app."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from pogo.api import paging
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import apps as show
from pogo.errors import InvalidParams
from pogo.model import App
from pogo.rules import buildpacks
from pogo.services import apps
from pogo.services import buildpacks as names
from pogo.services.database import Database

router = resource_router()

MOST = 20


class Installation(Body):
    """buildpack: a name, a git URL with an optional #ref, or the URL of a .tgz."""

    buildpack: str


class Installations(Body):
    updates: list[Installation]


@router.get("/apps/{app}/buildpack-installations")
def index(me: Me, app: TheApp) -> Response:
    found = paging.in_order(_all(app), me.range, "ordinal")
    return JSONResponse(found.items, 206 if found.partial else 200, found.headers)


@router.put("/apps/{app}/buildpack-installations")
def replace(me: Me, app: TheApp, body: Installations) -> Response:
    given = checked(me.platform.db, [update.buildpack for update in body.updates])
    return answer(_all(apps.set_buildpacks(me.platform.db, app, given)))


def checked(db: Database, given: list[str]) -> list[str]:
    """How buildpacks are stored: `ns/name` for whatever means a registered one, else the address. InvalidParams."""
    if len(given) > MOST:
        raise InvalidParams(f"An app can have at most {MOST} buildpacks.")
    registry = names.registry(db)
    try:
        for one in given:
            registry.resolve(one)
    except buildpacks.UnknownBuildpack as unknown:
        raise InvalidParams(str(unknown)) from None
    return [buildpacks.display_name(one) for one in given]


def _all(app: App) -> list[dict[str, Any]]:
    return [{"buildpack": show.buildpack(one), "ordinal": n} for n, one in enumerate(app.buildpacks)]
