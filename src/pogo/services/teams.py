"""Teams and their members."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import App, Collaborator, Pipeline, Team, TeamInvitation, TeamMember, User
from pogo.rules import permissions
from pogo.rules import teams as rules
from pogo.services import unique_names
from pogo.services.database import Database
from pogo.services.membership import role_in


def list_teams(db: Database, user: User) -> list[tuple[Team, str]]:
    """Teams with the user's role in them, by name; `collaborator` where he has access to apps of the team only."""
    with db.read() as session:
        mine = select(TeamMember).where(TeamMember.user_id == user.id)
        found = {row.team_id: (row.team, row.role) for row in session.scalars(mine)}
        shared = select(App.team_id).join(Collaborator, Collaborator.app_id == App.id)
        shared = shared.where(Collaborator.user_id == user.id, App.destroyed_at.is_(None))
        for team in session.scalars(select(Team).where(Team.id.in_(shared))):
            found.setdefault(team.id, (team, permissions.GUEST))
    return sorted(found.values(), key=lambda pair: pair[0].name)


def find_team(db: Database, user: User, name_or_id: str) -> tuple[Team, str | None]:
    """With the user's role in it, None for the operator who is not in it. NotFound, also for a team of others."""
    for team, role in list_teams(db, user):
        if name_or_id in (team.name, team.id):
            return team, role
    if user.admin:
        with db.read() as session:
            found = session.scalar(select(Team).where((Team.name == name_or_id) | (Team.id == name_or_id)))
        if found:
            return found, None
    raise NotFound("team", "Couldn't find that team.")


def require_admin(user: User, team: Team, role: str | None) -> None:
    """Raises Forbidden."""
    if not (user.admin or permissions.may_administer(role)):
        raise Forbidden(f"Only admins of the team {team.name} may do that.")


def require_member(user: User, team: Team, role: str | None) -> None:
    """For what guests do not see. Raises Forbidden."""
    if not user.admin and role not in rules.ROLES:
        raise Forbidden(f"Only members of the team {team.name} may do that.")


def create_team(db: Database, user: User, name: str) -> Team:
    """With the user as its admin. InvalidParams: bad or taken name."""
    rules.check_name(name)
    with db.write() as session:
        unique_names.check_free(session, Team, name)
        team = Team(name=name)
        session.add(TeamMember(team=team, user=session.get_one(User, user.id), role=permissions.ADMIN))
        session.flush()
        return team


def rename_team(db: Database, team: Team, name: str) -> Team:
    rules.check_name(name)
    return unique_names.rename(db, team, name)


def destroy_team(db: Database, team: Team) -> None:
    """InvalidParams while it owns apps or pipelines: they would have nobody."""
    with db.write() as session:
        apps = list(session.scalars(select(App.name).where(App.team_id == team.id, App.destroyed_at.is_(None))))
        count = session.scalar(select(func.count()).where(Pipeline.team_id == team.id))
        if apps or count:
            raise InvalidParams(
                f"The team {team.name} owns {len(apps)} apps and {count} pipelines. Destroy or give them away first."
            )
        for app in session.scalars(select(App).where(App.team_id == team.id)):
            app.team = None  # destroyed, and not yet cleared away
        session.flush()
        session.delete(session.get_one(Team, team.id))


def members(db: Database, team: Team) -> list[TeamMember]:
    """By e-mail; without guests."""
    with db.read() as session:
        rows = session.scalars(select(TeamMember).where(TeamMember.team_id == team.id))
        return sorted(rows, key=lambda row: row.user.email)


def guests(db: Database, team: Team) -> list[User]:
    """Who has access to apps of the team without being in it."""
    with db.read() as session:
        inside = select(TeamMember.user_id).where(TeamMember.team_id == team.id)
        shared = select(Collaborator.user_id).join(App, App.id == Collaborator.app_id)
        shared = shared.where(App.team_id == team.id, App.destroyed_at.is_(None), Collaborator.user_id.not_in(inside))
        return list(session.scalars(select(User).where(User.id.in_(shared)).order_by(User.email)))


def find_member(db: Database, team: Team, email_or_id: str) -> TeamMember:
    """By the user's e-mail or id, or by the membership's. NotFound."""
    for row in members(db, team):
        if email_or_id.lower() in (row.user.email, row.user_id, row.id):
            return row
    raise NotFound("team_member", f"Couldn't find that member: {email_or_id} is not in the team {team.name}.")


def set_member(db: Database, team: Team, email: str, role: str | None, *, new: bool = True) -> tuple[TeamMember, bool]:
    """Add a member, or give him another role; and whether he was added. new: False for members only.

    InvalidParams: no such role or user, or the last admin.
    """
    role = rules.check_role(role)
    with db.write() as session:
        user = session.scalar(select(User).where((User.email == email.lower()) | (User.id == email)))
        row = session.scalar(_membership(team.id, user.id)) if user else None
        if user is None:
            raise InvalidParams(f"There is no user {email} on this platform. The operator can invite them.")
        if row is None:
            if not new:
                raise NotFound("team_member", f"Couldn't find that member: {email} is not in the team {team.name}.")
            return _join(session, team.id, user, role), True
        rules.check_admins(_roles(session, team.id), user.id, role)
        row.role = role
        return row, False


def _membership(team_id: str, user_id: str) -> Select[TeamMember]:
    return select(TeamMember).where(TeamMember.team_id == team_id, TeamMember.user_id == user_id)


def _join(session: Session, team_id: str, user: User, role: str) -> TeamMember:
    row = TeamMember(team=session.get_one(Team, team_id), user=user, role=role)
    session.add(row)
    session.execute(delete(TeamInvitation).where(TeamInvitation.team_id == team_id, TeamInvitation.email == user.email))
    session.flush()
    return row


def join(session: Session, invitation: TeamInvitation, user: User) -> TeamMember:
    """What an accepted invitation does, inside the caller's transaction."""
    known = session.scalar(_membership(invitation.team_id, user.id))
    return known or _join(session, invitation.team_id, user, invitation.role)


def _roles(session: Session, team_id: str) -> dict[str, str]:
    rows = session.execute(select(TeamMember.user_id, TeamMember.role).where(TeamMember.team_id == team_id))
    return {row.user_id: row.role for row in rows}


def remove_member(db: Database, team: Team, email_or_id: str) -> tuple[User, str]:
    """Takes away his access to the team's apps, too. Also for a guest. The user, and the role he had."""
    with db.write() as session:
        user = session.scalar(select(User).where((User.email == email_or_id.lower()) | (User.id == email_or_id)))
        role = role_in(session, team.id, user.id) if user else None
        apps = select(App.id).where(App.team_id == team.id)
        shared = user and list(
            session.scalars(select(Collaborator).where(Collaborator.user_id == user.id, Collaborator.app_id.in_(apps)))
        )
        if user is None or (role is None and not shared):
            raise NotFound("team_member", f"Couldn't find that member: {email_or_id} is not in the team {team.name}.")
        rules.check_admins(_roles(session, team.id), user.id, None)
        for row in [*(shared or []), *session.scalars(_membership(team.id, user.id))]:
            session.delete(row)
        return user, role or permissions.GUEST


def apps_of_team(db: Database, team: Team, user: User, role: str | None) -> list[App]:
    """By name; for a guest only those that he has access to."""
    with db.read() as session:
        query = select(App).where(App.team_id == team.id, App.destroyed_at.is_(None)).order_by(App.name)
        if not user.admin and role not in rules.ROLES:
            query = query.where(App.id.in_(_shared(user)))
        return list(session.scalars(query))


def _shared(user: User) -> Select[str]:
    return select(Collaborator.app_id).where(Collaborator.user_id == user.id)


def joined(db: Database, user: User, apps: Collection[App]) -> set[str]:
    """Ids of those of the apps on which the user collaborates."""
    with db.read() as session:
        return set(session.scalars(_shared(user).where(Collaborator.app_id.in_([app.id for app in apps]))))
