"""Buildpacks of an app, and the registry in which clients look names up."""

from __future__ import annotations

from fastapi import Request, Response

from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import apps as show
from pogo.api.show import catalog
from pogo.errors import InvalidParams, NotFound
from pogo.model import App
from pogo.rules import buildpacks
from pogo.services import apps

router = resource_router()

MOST = 20


class Installation(Body):
    """buildpack: a name, a git URL with an optional #ref, or the URL of a .tgz."""

    buildpack: str


class Installations(Body):
    updates: list[Installation]


@router.get("/apps/{app}/buildpack-installations")
def index(app: TheApp) -> Response:
    return _all(app)


@router.put("/apps/{app}/buildpack-installations")
def replace(me: Me, app: TheApp, body: Installations) -> Response:
    if len(body.updates) > MOST:
        raise InvalidParams(f"An app can have at most {MOST} buildpacks.")
    given = [checked(update.buildpack) for update in body.updates]
    return _all(apps.set_buildpacks(me.platform.db, app, given))


def checked(given: str) -> str:
    """How a buildpack is stored: `ns/name` for whatever means a registered one, else its address."""
    try:
        buildpacks.resolve(given)
    except buildpacks.UnknownBuildpack as unknown:
        raise InvalidParams(str(unknown)) from None
    return buildpacks.display_name(given)


def _all(app: App) -> Response:
    return answer([{"buildpack": show.buildpack(one), "ordinal": n} for n, one in enumerate(app.buildpacks)])


@router.get("/buildpacks")
def search(request: Request) -> Response:
    """Heroku's registry: `in[namespace][]`, `in[name][]`, `like[description]`. Nobody has to log in for it."""
    query = request.query_params
    namespaces, names = query.getlist("in[namespace][]"), query.getlist("in[name][]")
    like = query.get("like[description]", "").lower()
    found = [
        one
        for one in _registered().values()
        if (not namespaces or one["namespace"] in namespaces)
        and (not names or one["name"] in names)
        and like in one["description"].lower()
    ]
    return answer(found)


@router.get("/buildpacks/{namespace}/{name}")
def look_up(namespace: str, name: str) -> Response:
    found = _registered().get(f"{namespace}/{name}")
    if not found:
        raise NotFound("buildpack", f"Couldn't find the buildpack {namespace}/{name}. Give its git URL instead.")
    return answer(found)


def _registered() -> dict[str, dict[str, str]]:
    own = {f"heroku/{name}": f"{name}, a part of this platform" for name in buildpacks.FIRST_PARTY}
    others = {name: f"{name.partition('/')[2]}, from {url}" for name, url in buildpacks.REGISTRY.items()}
    return {name: catalog.registered_buildpack(name, text) for name, text in sorted({**own, **others}.items())}
