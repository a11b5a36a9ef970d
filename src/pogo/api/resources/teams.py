"""Teams, their members, and invitations to them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import Depends, Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me
from pogo.api.show import teams as show
from pogo.errors import NotFound
from pogo.model import Team
from pogo.rules import permissions
from pogo.services import team_invitations, teams

router = resource_router()


class NewTeam(Body):
    name: str


class TeamChange(Body):
    """default: Heroku lets a member choose one team as his default; here it is always the account."""

    name: str | None = None
    default: bool | None = None


class NewMember(Body):
    """email: or id of a user."""

    email: str
    role: str | None = None


class Seen(NamedTuple):
    """A team that the caller sees. role: his in it; None for the operator."""

    team: Team
    role: str | None


def _team(me: Me, team: str) -> Seen:
    return Seen(*teams.find_team(me.platform.db, me.user, team))


def _as_member(me: Me, team: str) -> Seen:
    seen = _team(me, team)
    teams.require_member(me.user, seen.team, seen.role)
    return seen


def _as_admin(me: Me, team: str) -> Seen:
    seen = _team(me, team)
    teams.require_admin(me.user, seen.team, seen.role)
    return seen


TheTeam = Annotated[Seen, Depends(_team)]
"""The team that the path names, where the caller is in it, or has access to an app of it. NotFound."""
MyTeam = Annotated[Seen, Depends(_as_member)]
"""The same, for what guests do not see. Forbidden."""
AdminTeam = Annotated[Seen, Depends(_as_admin)]
"""The same, for what only its admins may do. Forbidden."""


@router.get("/teams")
def index(me: Me) -> Response:
    return listing(me, teams.list_teams(me.platform.db, me.user), lambda pair: show.team(*pair))


@router.post("/teams")
def create(me: Me, body: NewTeam) -> Response:
    team = teams.create_team(me.platform.db, me.user, body.name)
    return answer(show.team(team, permissions.ADMIN), 201)


@router.get("/teams/permissions")
def known_permissions(me: Me) -> Response:
    return answer(show.named(list(permissions.PERMISSIONS)))


@router.get("/teams/invitations/{token}")
def invitation(me: Me, token: str) -> Response:
    return answer(show.invitation(team_invitations.find_by_token(me.platform.db, me.user, token)))


@router.post("/teams/invitations/{token}/accept")
def accept(me: Me, token: str) -> Response:
    return answer(show.member(team_invitations.accept(me.platform.db, me.user, token)), 201)


@router.post("/teams/invitations/{token}/decline")
def decline(me: Me, token: str) -> Response:
    """Ours: Heroku lets an invitation that nobody wants grow old."""
    return answer(show.invitation(team_invitations.decline(me.platform.db, me.user, token)))


@router.get("/teams/{team}")
def info(team: TheTeam) -> Response:
    return answer(show.team(*team))


@router.patch("/teams/{team}")
def update(me: Me, team: AdminTeam, body: TeamChange) -> Response:
    found = teams.rename_team(me.platform.db, team.team, body.name) if body.name is not None else team.team
    return answer(show.team(found, team.role))


@router.delete("/teams/{team}")
def destroy(me: Me, team: AdminTeam) -> Response:
    teams.destroy_team(me.platform.db, team.team)
    return answer(show.team(*team))


@router.get("/teams/{team}/members")
def members(me: Me, team: MyTeam) -> Response:
    """Guests, too."""
    rows = [show.member(row) for row in teams.members(me.platform.db, team.team)]
    rows += [show.guest(team.team, user) for user in teams.guests(me.platform.db, team.team)]
    return listing(me, rows, lambda row: row)


@router.put("/teams/{team}/members")
@router.post("/teams/{team}/members")
def set_member(me: Me, team: AdminTeam, body: NewMember) -> Response:
    row, added = teams.set_member(me.platform.db, team.team, body.email, body.role)
    return answer(show.member(row), 201 if added else 200)


@router.patch("/teams/{team}/members")
def change_member(me: Me, team: AdminTeam, body: NewMember) -> Response:
    row, _ = teams.set_member(me.platform.db, team.team, body.email, body.role, new=False)
    return answer(show.member(row))


@router.delete("/teams/{team}/members/{member}")
def remove_member(me: Me, team: TheTeam, member: str) -> Response:
    """By an admin; or by the member who leaves."""
    db = me.platform.db
    if member.lower() not in (me.user.email, me.user.id):
        teams.require_admin(me.user, team.team, team.role)
    row = next((row for row in teams.members(db, team.team) if member.lower() in (row.user.email, row.id)), None)
    user, _ = teams.remove_member(db, team.team, row.user_id if row else member)
    return answer(show.member(row) if row else show.guest(team.team, user))


@router.get("/teams/{team}/invitations")
def pending(me: Me, team: MyTeam) -> Response:
    return listing(me, team_invitations.list_invitations(me.platform.db, team.team), show.invitation, "email", "id")


@router.put("/teams/{team}/invitations")
def invite(me: Me, team: AdminTeam, body: NewMember) -> Response:
    """With the token, which whoever invites passes on: this platform sends no mail."""
    row, token = team_invitations.invite(me.platform.db, team.team, me.user, body.email, body.role)
    return answer(show.invitation(row, token), 201)


@router.delete("/teams/{team}/invitations/{invitation}")
def revoke(me: Me, team: AdminTeam, invitation: str) -> Response:
    return answer(show.invitation(team_invitations.revoke(me.platform.db, team.team, invitation)))


@router.get("/teams/{team}/features")
@router.get("/teams/{team}/addons")
@router.get("/teams/{team}/allowed-addon-services")
@router.get("/teams/{team}/spaces")
@router.get("/teams/{team}/identity-providers")
@router.get("/teams/{team}/invoices")
def none(team: MyTeam) -> Response:
    """Of these, nobody can have any here."""
    return answer([])


@router.get("/teams/{team}/features/{feature}")
def feature(team: MyTeam, feature: str) -> Response:
    raise NotFound("feature", f"Couldn't find that feature ({feature}).")


@router.get("/teams/{team}/preferences")
@router.patch("/teams/{team}/preferences")
def preferences(team: MyTeam) -> Response:
    """There is nothing to choose: members see the apps of their team, and there are no add-ons to control."""
    return answer({"default-permission": permissions.VIEWER, "addons-controls": None})
