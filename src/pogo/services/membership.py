"""Who may do what to which apps: by owning, as a collaborator, by a role in the team that owns the app."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from pogo.model import App, Collaborator, TeamMember, User
from pogo.rules import permissions as rules


def role_in(session: Session, team_id: str | None, user_id: str) -> str | None:
    """The user's role in a team; None for who is not in it, and for no team."""
    if team_id is None:
        return None
    mine = (TeamMember.team_id == team_id, TeamMember.user_id == user_id)
    return session.scalar(select(TeamMember.role).where(*mine))


def permissions_of(session: Session, app: App, user: User) -> frozenset[str]:
    """What the user may do to the app, nothing where he has no access (rules.permissions)."""
    owner = user.admin or (app.team_id is None and app.owner_id == user.id)
    mine = (Collaborator.app_id == app.id, Collaborator.user_id == user.id)
    given = None if owner else session.scalar(select(Collaborator.permissions).where(*mine))
    role = None if owner else role_in(session, app.team_id, user.id)
    return rules.permissions(owner=owner, given=given, role=role)


def apps_of(user: User) -> Select[Any]:
    """Ids of the apps that the user has access to, as a subquery; the operator's own rights are left out."""
    return select(App.id).where(App.destroyed_at.is_(None), has_access(user))


def has_access(user: User, *, by_teams: bool = True) -> ColumnElement[bool]:
    """Of apps: the user owns it, collaborates on it, or (`by_teams`) has a role in its team that shows it to him."""
    shared = select(Collaborator.app_id).where(Collaborator.user_id == user.id)
    own = (App.owner_id == user.id) & App.team_id.is_(None)
    if not by_teams:
        return or_(own, App.id.in_(shared))
    seeing = (rules.ADMIN, rules.MEMBER, rules.VIEWER)
    teams = select(TeamMember.team_id).where(TeamMember.user_id == user.id, TeamMember.role.in_(seeing))
    return or_(own, App.id.in_(shared), App.team_id.in_(teams))
