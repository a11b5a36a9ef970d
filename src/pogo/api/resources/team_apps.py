"""Apps of teams: made, locked, given to a team or to one of its members, joined."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.resources.teams import MyTeam, TheTeam
from pogo.api.show import teams as show
from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import App, Collaborator, Team
from pogo.rules import permissions
from pogo.services import access, apps, releases, team_apps, teams

router = resource_router()


class NewApp(Body):
    """personal: of the caller, though a team is named (Heroku)."""

    name: str | None = None
    team: str | None = None
    personal: bool = False
    region: str | None = None
    stack: str | None = None
    locked: bool = False


class AppChange(Body):
    """owner: name or id of a team, e-mail or id of a user."""

    locked: bool | None = None
    owner: str | None = None


class NewCollaborator(Body):
    """user: e-mail or id. permissions: names; without them those that every collaborator has."""

    user: str
    permissions: list[str] | None = None


class Permissions(Body):
    permissions: list[str]


@router.post("/teams/apps")
def create(me: Me, body: NewApp) -> Response:
    settings, db = me.platform.settings, me.platform.db
    team: Team | None = None
    if body.team and not body.personal:
        team, role = teams.find_team(db, me.user, body.team)
        if not me.user.admin and not permissions.may_create(role):
            raise Forbidden(f"Only admins and members of the team {team.name} may make apps for it.")
    stack = body.stack or settings.default_stack
    app = apps.create_app(db, me.user, body.name, stack, settings.max_apps, team=team, locked=body.locked)
    announce.note(me, app, "Initial release")
    announce.note(me, app, "Release v1 created")
    me.platform.hints.wake("router")
    return _one(me, app, 201)


@router.get("/teams/apps/{app}")
def info(me: Me, app: TheApp) -> Response:
    return _one(me, app)


@router.patch("/teams/apps/{app}")
def update(me: Me, app: TheApp, body: AppChange) -> Response:
    db = me.platform.db
    access.require(db, app, me.user, permissions.MANAGE)
    if body.locked is not None:
        app = team_apps.lock(db, app, locked=body.locked)
    if body.owner is not None:
        app = _give(me, app, body.owner)
    return _one(me, app)


def _give(me: Caller, app: App, owner: str) -> App:
    """To a team where the caller may make apps; or to a member of the team that has it."""
    db = me.platform.db
    try:
        team, role = teams.find_team(db, me.user, owner)
    except NotFound:
        if app.team is None:
            raise InvalidParams(
                f"There is no team {owner} of yours. To give the app to a user, offer it: pogo apps:transfer"
            ) from None
        app = team_apps.give_to_member(db, app, owner)
        announce.note(me, app, f"Transfer to {app.owner.email}")
        return app
    if not me.user.admin and not permissions.may_create(role):
        raise Forbidden(f"Only admins and members of the team {team.name} may give apps to it.")
    app = team_apps.give_to_team(db, app, team)
    announce.note(me, app, f"Transfer to {team.name}")
    return app


@router.get("/teams/{team}/apps")
def index(me: Me, team: TheTeam) -> Response:
    return _listing(me, teams.apps_of_team(me.platform.db, team.team, me.user, team.role))


@router.get("/teams/{team}/members/{member}/apps")
def of_member(me: Me, team: MyTeam, member: str) -> Response:
    """Those that he collaborates on."""
    db = me.platform.db
    user = teams.find_member(db, team.team, member).user
    mine = teams.apps_of_team(db, team.team, me.user, team.role)
    shared = teams.joined(db, user, mine)
    return _listing(me, [app for app in mine if app.id in shared])


@router.post("/filters/apps")
def filtered(me: Me, body: dict[str, dict[str, list[str]]]) -> Response:
    """`{"in": {"id": […]}}`: those of the apps that the caller sees."""
    ids = set(body.get("in", {}).get("id", []))
    everyone = apps.list_apps(me.platform.db, me.user, everyone=me.user.admin)
    return _listing(me, [app for app in everyone if app.id in ids])


@router.get("/teams/{team}/permissions")
def who_may(me: Me, team: MyTeam) -> Response:
    """Of each app, who was given what; what members may do by their roles goes without saying."""
    db, rows = me.platform.db, []
    found = teams.apps_of_team(db, team.team, me.user, team.role)
    collaborators = access.collaborators_of(db, found)
    for app in found:
        users = [
            {"id": row.user_id, "email": row.user.email, "permissions": sorted(row.permissions)}
            for row in collaborators.get(app.id, [])
        ]
        rows.append({"id": app.id, "name": app.name, "team_id": team.team.id, "type": "app", "users": users})
    return listing(me, rows, lambda row: row)


def _listing(me: Caller, rows: list[App]) -> Response:
    sizes = releases.slug_sizes(me.platform.db, [app.id for app in rows])
    joined, settings = teams.joined(me.platform.db, me.user, rows), me.platform.settings
    return listing(
        me, rows, lambda app: show.app(settings, app, sizes.get(app.id), joined=app.id in joined), "name", "id"
    )


def _one(me: Caller, app: App, status: int = 200) -> Response:
    size = releases.slug_sizes(me.platform.db, [app.id]).get(app.id)
    joined = bool(teams.joined(me.platform.db, me.user, [app]))
    return answer(show.app(me.platform.settings, app, size, joined=joined), status)


@router.get("/teams/apps/{app}/collaborators")
def collaborators(me: Me, app: TheApp) -> Response:
    return listing(me, access.list_collaborators(me.platform.db, app), lambda row: _collaborator(me, app, row))


@router.get("/teams/apps/{app}/collaborators/{user}")
def collaborator(me: Me, app: TheApp, user: str) -> Response:
    return answer(_collaborator(me, app, access.find_collaborator(me.platform.db, app, user)))


@router.post("/teams/apps/{app}/collaborators")
def add_collaborator(me: Me, app: TheApp, body: NewCollaborator) -> Response:
    """By who manages the app; or by a member of its team, for himself, unless it is locked."""
    db = me.platform.db
    joining = body.user.lower() in ("~", me.user.email, me.user.id)
    given = None if joining else body.permissions
    if not (joining and team_apps.may_join(db, app, me.user)):
        access.require(db, app, me.user, permissions.MANAGE)
        given = body.permissions
    row = access.add_collaborator(db, app, me.user.email if body.user == "~" else body.user, given)
    return answer(_collaborator(me, app, row), 201)


@router.patch("/teams/apps/{app}/collaborators/{user}")
def change_collaborator(me: Me, app: TheApp, user: str, body: Permissions) -> Response:
    access.require(me.platform.db, app, me.user, permissions.MANAGE)
    return answer(_collaborator(me, app, access.change_collaborator(me.platform.db, app, user, body.permissions)))


@router.delete("/teams/apps/{app}/collaborators/{user}")
def remove_collaborator(me: Me, app: TheApp, user: str) -> Response:
    """By who manages the app; or by the collaborator who leaves."""
    row = access.find_collaborator(me.platform.db, app, user)
    if row.user_id != me.user.id:
        access.require(me.platform.db, app, me.user, permissions.MANAGE)
    return answer(_collaborator(me, app, access.remove_collaborator(me.platform.db, app, user)))


def _collaborator(me: Caller, app: App, row: Collaborator) -> dict[str, Any]:
    return show.collaborator(app, row, team_apps.role_of(me.platform.db, app, row.user))
