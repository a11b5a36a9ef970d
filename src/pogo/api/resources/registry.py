"""The registry in which clients look names of buildpacks up, and what its operator changes there.

Heroku's own clients ask `HEROKU_BUILDPACK_REGISTRY_URL`; nobody has to log in to read.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me
from pogo.api.show import registry as show
from pogo.errors import NotFound
from pogo.model import BuildpackName
from pogo.rules import buildpacks as rules
from pogo.services import buildpacks
from pogo.services.database import Database
from pogo.services.people import require_admin

router = resource_router()


class Named(Body):
    """url: of a git repository, with an optional #ref, or of a .tgz."""

    url: str
    description: str | None = None


class NewMirror(Body):
    prefix: str
    url: str


@router.get("/buildpacks")
def search(request: Request) -> Response:
    """`in[namespace][]`, `in[name][]`, `like[description]`."""
    query = request.query_params
    namespaces, names = query.getlist("in[namespace][]"), query.getlist("in[name][]")
    like = query.get("like[description]", "").lower()
    found = [
        one
        for one in _registered(request.app.state.platform.db).values()
        if (not namespaces or one["namespace"] in namespaces)
        and (not names or one["name"] in names)
        and like in one["description"].lower()
    ]
    return answer(found)


@router.get("/buildpacks/{namespace}/{name}")
def info(request: Request, namespace: str, name: str) -> Response:
    return answer(_find(request, namespace, name))


@router.get("/buildpacks/{namespace}/{name}/revisions")
def revisions(request: Request, namespace: str, name: str) -> Response:
    """The one address that the name has now: a registered name follows its repository."""
    found = _find(request, namespace, name)
    return answer([show.revision(found)])


@router.get("/buildpacks/{namespace}/{name}/readme")
def readme(request: Request, namespace: str, name: str) -> Response:
    return answer(show.readme(_find(request, namespace, name)))


@router.put("/buildpacks/{namespace}/{name}")
def register(me: Me, namespace: str, name: str, body: Named) -> Response:
    require_admin(me.user)
    row = buildpacks.register(me.platform.db, f"{namespace}/{name}", body.url, body.description or "")
    return answer(_show(row.name, row.url, row))


@router.delete("/buildpacks/{namespace}/{name}")
def unregister(me: Me, namespace: str, name: str) -> Response:
    require_admin(me.user)
    row = buildpacks.unregister(me.platform.db, f"{namespace}/{name}")
    return answer(_show(row.name, row.url, row))


@router.get("/buildpack-mirrors")
def mirrors(me: Me) -> Response:
    return answer([show.mirror(row) for row in buildpacks.list_mirrors(me.platform.db)])


@router.post("/buildpack-mirrors")
def add_mirror(me: Me, body: NewMirror) -> Response:
    require_admin(me.user)
    return answer(show.mirror(buildpacks.add_mirror(me.platform.db, body.prefix, body.url)), 201)


@router.delete("/buildpack-mirrors/{mirror}")
def remove_mirror(me: Me, mirror: str) -> Response:
    require_admin(me.user)
    return answer(show.mirror(buildpacks.remove_mirror(me.platform.db, mirror)))


def _find(request: Request, namespace: str, name: str) -> dict[str, Any]:
    found = _registered(request.app.state.platform.db).get(f"{namespace}/{name}")
    if not found:
        raise NotFound("buildpack", f"Couldn't find the buildpack {namespace}/{name}. Give its git URL instead.")
    return found


def _registered(db: Database) -> dict[str, dict[str, Any]]:
    rows = {row.name: row for row in buildpacks.list_names(db)}
    known = rules.Registry({name: row.url for name, row in rows.items()}).known()
    return {name: _show(name, url, rows.get(name)) for name, url in known.items()}


def _show(name: str, url: str, row: BuildpackName | None) -> dict[str, Any]:
    return show.buildpack(name, url, row)
