"""Users and tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from functools import cache
from threading import BoundedSemaphore
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, func, select

from pogo.errors import Forbidden, InvalidParams, NotFound, Unauthorized, Unavailable
from pogo.model import App, Authorization, Collaborator, Key, Passkey, TeamMember, User, utcnow
from pogo.rules import passwords
from pogo.services.database import Database

TOKEN_PREFIX = "HRKU-"  # noqa: S105  (Heroku's tokens begin so; secret scanners know it)
GONE = "@removed.invalid"
hasher = PasswordHasher()  # argon2id
# A hash takes 64 MB and a core: a flood of logins waits in line, or is sent away.
_hashing = BoundedSemaphore(4)


@cache
def _nobody() -> str:
    """Checked when the e-mail is unknown, so that the answer takes as long as for a known one."""
    return hasher.hash(secrets.token_hex())


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def create_user(
    db: Database, email: str, password: str | None = None, *, name: str | None = None, admin: bool = False
) -> User:
    """A new user. InvalidParams for a bad or taken e-mail or a bad password (rules.passwords)."""
    email = checked_email(email)
    password_hash = hashed(password, email) if password is not None else None
    with db.write() as session:
        if session.scalar(select(User.id).where(User.email == email)):
            raise InvalidParams(f"A user with the e-mail {email} exists already.")
        user = User(email=email, name=name, password_hash=password_hash, admin=admin)
        session.add(user)
        return user


def checked_email(email: str) -> str:
    """As it is stored. Raises InvalidParams."""
    email = email.strip().lower()
    local, at, host = email.partition("@")
    if not (local and at and host) or len(email) > 254 or email.endswith(GONE) or any(c <= " " for c in email):
        raise InvalidParams(f"E-mail {email!r} is not valid.")
    return email


def hashed(password: str, email: str) -> str:
    """Raises InvalidParams."""
    wrong = passwords.complaint(password, email)
    if wrong:
        raise InvalidParams(wrong)
    return hasher.hash(password)


def set_password(db: Database, user: User, password: str, keep: str | None = None) -> None:
    """Also ends all sessions but `keep` (an authorization's id): whoever knew the old password is out."""
    password_hash = hashed(password, user.email)
    with db.write() as session:
        session.get_one(User, user.id).password_hash = password_hash
        others = delete(Authorization).where(Authorization.user_id == user.id, Authorization.session.is_(True))
        session.execute(others.where(Authorization.id != keep) if keep else others)


def change_user(db: Database, user_id: str, *, preferences: dict[str, Any] | None = None, **fields: Any) -> User:
    """fields: `name`. preferences: those to change."""
    with db.write() as session:
        user = session.get_one(User, user_id)
        for field, value in fields.items():
            setattr(user, field, value)
        if preferences:
            user.preferences = {**user.preferences, **preferences}
        return user


def find_user(db: Database, email_or_id: str) -> User:
    with db.read() as session:
        user = session.scalar(select(User).where((User.email == email_or_id.lower()) | (User.id == email_or_id)))
    if not user or user.email.endswith(GONE):
        raise NotFound("user")
    return user


def list_users(db: Database) -> list[User]:
    with db.read() as session:
        return list(session.scalars(select(User).where(~User.email.endswith(GONE)).order_by(User.email)))


def remove_user(db: Database, user: User) -> None:
    """Take away everything the user can do and is known by. The row stays, as the author of releases.

    InvalidParams while he owns apps, or is the last operator.
    """
    with db.write() as session:
        row = session.get_one(User, user.id)
        apps = session.scalars(select(App.name).where(App.owner_id == user.id, App.destroyed_at.is_(None)))
        owned = ", ".join(sorted(apps))
        if owned:
            raise InvalidParams(f"{user.email} still owns apps: {owned}. Transfer or destroy them first.")
        if row.admin and session.scalar(select(func.count()).where(User.admin.is_(True))) == 1:
            raise InvalidParams(f"{user.email} is the only operator of this platform and cannot go.")
        for table in (Authorization, Collaborator, Key, Passkey, TeamMember):
            session.execute(delete(table).where(table.user_id == user.id))
        row.email, row.name, row.password_hash, row.admin = f"{row.id}{GONE}", None, None, False
        row.totp, row.totp_since, row.recovery, row.preferences = None, None, [], {}


def verify(db: Database, email: str, password: str) -> User | None:
    """The user, None where the e-mail or the password is wrong; takes the same time for both. Raises Unavailable."""
    with db.read() as session:
        user = session.scalar(select(User).where(User.email == email.strip().lower()))
    if not _hashing.acquire(timeout=15):
        raise Unavailable("Too many people log in at this moment. Try again in a moment.")
    try:
        hasher.verify((user and user.password_hash) or _nobody(), password[: passwords.LONGEST])
    except (VerifyMismatchError, InvalidHashError):
        return None
    finally:
        _hashing.release()
    return user if user and user.password_hash else None


def check_password(db: Database, email: str, password: str) -> User:
    """The user, or Unauthorized, which does not tell whether the e-mail or the password was wrong."""
    user = verify(db, email, password)
    if not user:
        raise Unauthorized("Invalid credentials provided.")
    return user


def new_token() -> str:
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def authorize(
    db: Database,
    user: User,
    description: str = "",
    scope: list[str] | None = None,
    expires_in: int | None = None,
    *,
    session: bool = False,
) -> tuple[Authorization, str]:
    """A new token for the user: the authorization and the token, which is not kept. session: it is of a login."""
    token = new_token()
    expires = utcnow() + timedelta(seconds=expires_in) if expires_in else None
    with db.write() as transaction:
        authorization = Authorization(
            user=transaction.get_one(User, user.id),
            description=description,
            scope=scope or ["global"],
            token_sha256=sha256(token),
            expires_at=expires,
            session=session,
            client=None,
        )
        transaction.add(authorization)
        transaction.flush()
        return authorization, token


def whose_token(db: Database, token: str) -> Authorization:
    """The living authorization of a token (with its user), or Unauthorized."""
    with db.read() as session:
        found = session.scalar(select(Authorization).where(Authorization.token_sha256 == sha256(token)))
    if not found or (found.expires_at and found.expires_at < utcnow()):
        raise Unauthorized("Invalid credentials provided.")
    return found


def list_authorizations(db: Database, user: User) -> list[Authorization]:
    with db.read() as session:
        query = select(Authorization).where(Authorization.user_id == user.id).order_by(Authorization.created_at)
        return list(session.scalars(query))


def revoke(db: Database, user: User, authorization_id: str) -> Authorization:
    """Remove one of the user's own tokens."""
    with db.write() as session:
        found = session.get(Authorization, authorization_id)
        if not found or found.user_id != user.id:
            raise NotFound("authorization")
        session.delete(found)
        return found


def forget_expired(db: Database) -> None:
    """Drop tokens that ended a month ago. Those of clients stay: they are renewed."""
    with db.write() as session:
        old = (Authorization.expires_at < utcnow() - timedelta(days=30), Authorization.refresh_sha256.is_(None))
        session.execute(delete(Authorization).where(*old))


def require_admin(user: User) -> None:
    if not user.admin:
        raise Forbidden("Only the operator of this platform may do that.")
