"""Invitations: how an account is made, and how one gets a new password. The operator hands out their URLs."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import Authorization, Invitation, User, utcnow
from pogo.services import people
from pogo.services.database import Database
from pogo.services.people import sha256

DAYS = 7
RESET_HOURS = 24


def invite(db: Database, by: User, email: str) -> tuple[Invitation, str]:
    """The invitation and its secret, which is not kept. Takes the place of an earlier one for the same e-mail."""
    email = people.checked_email(email)
    with db.write() as session:
        if session.scalar(select(User.id).where(User.email == email)):
            raise InvalidParams(f"A user with the e-mail {email} exists already.")
        return _made(session, by, email, None, timedelta(days=DAYS))


def reset(db: Database, by: User, user: User) -> tuple[Invitation, str]:
    """Lets the user set a new password, without the old one."""
    with db.write() as session:
        return _made(session, by, user.email, user.id, timedelta(hours=RESET_HOURS))


def _made(session: Session, by: User, email: str, user_id: str | None, lifetime: timedelta) -> tuple[Invitation, str]:
    now, token = utcnow(), secrets.token_urlsafe(32)
    session.execute(delete(Invitation).where((Invitation.email == email) | (Invitation.expires_at < now)))
    row = Invitation(
        email=email, user_id=user_id, token_sha256=sha256(token), invited_by=by.email, expires_at=now + lifetime
    )
    session.add(row)
    session.flush()
    return row, token


def list_invitations(db: Database) -> list[Invitation]:
    with db.read() as session:
        living = select(Invitation).where(Invitation.expires_at > utcnow())
        return list(session.scalars(living.order_by(Invitation.created_at, Invitation.id)))


def withdraw(db: Database, id_or_email: str) -> Invitation:
    for row in list_invitations(db):
        if id_or_email.lower() in (row.id, row.email):
            with db.write() as session:
                session.execute(delete(Invitation).where(Invitation.id == row.id))
            return row
    raise NotFound("invitation")


def find(db: Database, token: str) -> Invitation:
    """The living invitation of a secret."""
    with db.read() as session:
        return _living(session, token)


def _living(session: Session, token: str) -> Invitation:
    row = session.scalar(select(Invitation).where(Invitation.token_sha256 == sha256(token)))
    if row is None or row.expires_at < utcnow():
        raise NotFound("invitation", "This invitation is not valid, was used, or is too old. Ask for a new one.")
    return row


def accept(db: Database, token: str, password: str, name: str | None) -> User:
    """Make the account, or set the password of the one that it is for; that ends the sessions of the account.

    Raises NotFound; InvalidParams for a bad password, which does not use the invitation up.
    """
    password_hash = people.hashed(password, find(db, token).email)
    with db.write() as session:
        row = _living(session, token)
        if row.user_id is None:
            if session.scalar(select(User.id).where(User.email == row.email)):
                raise InvalidParams(f"A user with the e-mail {row.email} exists already.")
            user = User(email=row.email, name=name, password_hash=password_hash)
            session.add(user)
        else:
            user = session.get_one(User, row.user_id)
            user.password_hash = password_hash
            mine = (Authorization.user_id == user.id, Authorization.session.is_(True))
            session.execute(delete(Authorization).where(*mine))
        session.delete(row)
        session.flush()
        return user
