"""Apps that teams own: locked, given away."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams
from pogo.model import App, Collaborator, Team, TeamMember, User
from pogo.rules import permissions as rules
from pogo.rules.permissions import EVERYTHING, GUEST
from pogo.services import usage
from pogo.services.database import Database
from pogo.services.membership import role_in


def lock(db: Database, app: App, *, locked: bool) -> App:
    """InvalidParams where no team owns the app: then nobody could join it anyhow."""
    if app.team_id is None:
        raise InvalidParams(f"Only apps of teams can be locked, and {app.name} is not one.")
    with db.write() as session:
        row = session.get_one(App, app.id)
        row.locked = locked
        return row


def give_to_team(db: Database, app: App, team: Team) -> App:
    """Whoever had it goes on with all permissions on it; so do its collaborators with theirs."""
    with db.write() as session:
        row = session.get_one(App, app.id)
        if row.team_id == team.id:
            raise InvalidParams(f"The team {team.name} owns {app.name} already.")
        if row.team_id is None:
            _collaborate(session, row, row.owner)
        row.team, row.locked = session.get_one(Team, team.id), False
        usage.hand_over(session, row)
        return row


def give_to_member(db: Database, app: App, email_or_id: str) -> App:
    """To a member of the team that has it. InvalidParams for anybody else."""
    with db.write() as session:
        row = session.get_one(App, app.id)
        known = select(User).join(TeamMember, TeamMember.user_id == User.id)
        known = known.where((User.email == email_or_id.lower()) | (User.id == email_or_id))
        user = session.scalar(known.where(TeamMember.team_id == row.team_id))
        if user is None:
            raise InvalidParams(
                f"Cannot give {app.name} to {email_or_id}: no member of its team, and no team of yours."
            )
        row.team, row.owner, row.locked = None, user, False
        usage.hand_over(session, row)
        for one in session.scalars(select(Collaborator).where(Collaborator.app_id == app.id)):
            if one.user_id == user.id:
                session.delete(one)
        return row


def _collaborate(session: Session, app: App, user: User) -> None:
    known = select(Collaborator).where(Collaborator.app_id == app.id, Collaborator.user_id == user.id)
    row = session.scalar(known) or Collaborator(app_id=app.id, user=user)
    row.permissions = sorted(EVERYTHING)
    session.add(row)


def role_of(db: Database, app: App, user: User) -> str:
    """In the team that owns the app; `collaborator` for who is not in it."""
    with db.read() as session:
        return role_in(session, app.team_id, user.id) or GUEST


def roles(db: Database, app: App) -> dict[str, str]:
    """Of the members of the team that owns the app, by user id."""
    with db.read() as session:
        rows = session.execute(select(TeamMember.user_id, TeamMember.role).where(TeamMember.team_id == app.team_id))
        return {row.user_id: row.role for row in rows}


def may_join(db: Database, app: App, user: User) -> bool:
    with db.read() as session:
        return rules.may_join(role_in(session, app.team_id, user.id), locked=app.locked)
