"""Who besides its owner uses an app, and what for."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import apps as show
from pogo.errors import InvalidParams, NotFound
from pogo.rules.permissions import MANAGE
from pogo.services import access, team_apps

router = resource_router()


class NewCollaborator(Body):
    """user: e-mail or id. permissions: names; ours, Heroku takes them for apps of teams only."""

    user: str
    permissions: list[str] | None = None


class Permissions(Body):
    permissions: list[str]


@router.get("/apps/{app}/collaborators")
def index(me: Me, app: TheApp) -> Response:
    found = access.list_collaborators(me.platform.db, app)
    rows = [show.collaborator(app, row) for row in found]
    if app.team_id:  # with their roles in the team, by which the official client knows its admins
        roles = team_apps.roles(me.platform.db, app)
        rows = [
            {**shown, "role": roles.get(row.user_id, shown["role"])} for row, shown in zip(found, rows, strict=True)
        ]
    shown = rows if app.team_id else [show.owner(app), *rows]
    return listing(me, shown, lambda row: row)


@router.get("/apps/{app}/collaborators/{user}")
def info(me: Me, app: TheApp, user: str) -> Response:
    if not app.team_id and user.lower() in (app.owner.email, app.owner_id, show.owner(app)["id"]):
        return answer(show.owner(app))
    return answer(show.collaborator(app, access.find_collaborator(me.platform.db, app, user)))


@router.post("/apps/{app}/collaborators")
def add(me: Me, app: TheApp, body: NewCollaborator) -> Response:
    made = access.add_collaborator(me.platform.db, app, body.user, body.permissions)
    return answer(show.collaborator(app, made), 201)


@router.patch("/apps/{app}/collaborators/{user}")
def change(me: Me, app: TheApp, user: str, body: Permissions) -> Response:
    if not app.team_id and user.lower() in (app.owner.email, app.owner_id):
        raise InvalidParams(f"The owner of {app.name} has all permissions.")
    return answer(show.collaborator(app, access.change_collaborator(me.platform.db, app, user, body.permissions)))


@router.delete("/apps/{app}/collaborators/{user}")
def remove(me: Me, app: TheApp, user: str) -> Response:
    """By who manages the app; or by the collaborator who leaves."""
    if not app.team_id and user.lower() in (app.owner.email, app.owner_id):
        access.require(me.platform.db, app, me.user, MANAGE)
        raise InvalidParams(f"The owner of {app.name} cannot be removed from it.")
    try:
        row = access.find_collaborator(me.platform.db, app, user)
    except NotFound:
        access.require(me.platform.db, app, me.user, MANAGE)
        raise
    if row.user_id != me.user.id:
        access.require(me.platform.db, app, me.user, MANAGE)
    return answer(show.collaborator(app, access.remove_collaborator(me.platform.db, app, user)))
