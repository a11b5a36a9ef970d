"""Invitations to teams: whoever has the token, and the e-mail that it is for, may join."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import Team, TeamInvitation, TeamMember, User, utcnow
from pogo.rules import teams as rules
from pogo.services import teams
from pogo.services.database import Database
from pogo.services.people import sha256

LASTS = timedelta(days=30)


def invite(db: Database, team: Team, inviter: User, email: str, role: str | None) -> tuple[TeamInvitation, str]:
    """A new invitation, in place of an earlier one of the same e-mail; and its token, which is not kept."""
    role, email = rules.check_role(role), email.strip().lower()
    if "@" not in email or len(email) > 254:
        raise InvalidParams(f"E-mail {email!r} is not valid.")
    token = secrets.token_urlsafe(24)
    with db.write() as session:
        known = select(TeamMember.id).join(User, User.id == TeamMember.user_id)
        if session.scalar(known.where(TeamMember.team_id == team.id, User.email == email)):
            raise InvalidParams(f"User {email} is in the team {team.name} already.")
        session.execute(delete(TeamInvitation).where(TeamInvitation.team_id == team.id, TeamInvitation.email == email))
        row = TeamInvitation(
            team=session.get_one(Team, team.id),
            email=email,
            role=role,
            inviter=session.get_one(User, inviter.id),
            token_sha256=sha256(token),
            expires_at=utcnow() + LASTS,
        )
        session.add(row)
        session.flush()
        return row, token


def list_invitations(db: Database, team: Team) -> list[TeamInvitation]:
    """Those that can still be accepted, by e-mail."""
    with db.read() as session:
        query = select(TeamInvitation).where(TeamInvitation.team_id == team.id, TeamInvitation.expires_at > utcnow())
        return list(session.scalars(query.order_by(TeamInvitation.email)))


def revoke(db: Database, team: Team, id_or_email: str) -> TeamInvitation:
    for row in list_invitations(db, team):
        if id_or_email.lower() in (row.id, row.email):
            with db.write() as session:
                session.delete(row)
            return row
    raise NotFound("team_invitation", "Couldn't find that invitation.")


def find_by_token(db: Database, user: User, token: str) -> TeamInvitation:
    """NotFound: no such token, or it is over. Forbidden: it is for somebody else."""
    with db.read() as session:
        return _find(session, user, token)


def _find(session: Session, user: User, token: str) -> TeamInvitation:
    row = session.scalar(select(TeamInvitation).where(TeamInvitation.token_sha256 == sha256(token)))
    if row is None or row.expires_at < utcnow():
        raise NotFound("team_invitation", "Couldn't find that invitation: it was used, revoked, or is too old.")
    if row.email != user.email:
        raise Forbidden(f"This invitation is for {row.email}. Log in with that account.")
    return row


def accept(db: Database, user: User, token: str) -> TeamMember:
    with db.write() as session:
        row = _find(session, user, token)
        return teams.join(session, row, session.get_one(User, user.id))


def decline(db: Database, user: User, token: str) -> TeamInvitation:
    with db.write() as session:
        row = _find(session, user, token)
        session.delete(row)
        return row
