"""Who besides its owner uses an app."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, OwnApp, TheApp
from pogo.api.show import apps as show
from pogo.errors import InvalidParams, NotFound
from pogo.services import access

router = resource_router()


class NewCollaborator(Body):
    """user: e-mail or id."""

    user: str


@router.get("/apps/{app}/collaborators")
def index(me: Me, app: TheApp) -> Response:
    rows = [show.owner(app), *(show.collaborator(app, row) for row in access.list_collaborators(me.platform.db, app))]
    return listing(me, rows, lambda row: row)


@router.get("/apps/{app}/collaborators/{user}")
def info(me: Me, app: TheApp, user: str) -> Response:
    if user.lower() in (app.owner.email, app.owner_id, show.owner(app)["id"]):
        return answer(show.owner(app))
    for row in access.list_collaborators(me.platform.db, app):
        if user.lower() in (row.user.email, row.user_id, row.id):
            return answer(show.collaborator(app, row))
    raise NotFound("collaborator")


@router.post("/apps/{app}/collaborators")
def add(me: Me, app: OwnApp, body: NewCollaborator) -> Response:
    return answer(show.collaborator(app, access.add_collaborator(me.platform.db, app, body.user)), 201)


@router.delete("/apps/{app}/collaborators/{user}")
def remove(me: Me, app: TheApp, user: str) -> Response:
    """By the owner; or by the collaborator who leaves."""
    if user.lower() not in (me.user.email, me.user.id):
        access.require_owner(app, me.user)
    if user.lower() in (app.owner.email, app.owner_id):
        raise InvalidParams(f"The owner of {app.name} cannot be removed from it.")
    return answer(show.collaborator(app, access.remove_collaborator(me.platform.db, app, user)))
