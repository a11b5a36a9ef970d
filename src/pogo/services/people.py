"""Users and tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select

from pogo.errors import Forbidden, InvalidParams, NotFound, Unauthorized
from pogo.model import Authorization, User, utcnow
from pogo.services.database import Database

TOKEN_PREFIX = "HRKU-"  # noqa: S105  (Heroku's tokens begin so; secret scanners know it)
hasher = PasswordHasher()  # argon2id


@cache
def _nobody() -> str:
    """Checked when the e-mail is unknown, so that the answer takes as long as for a known one."""
    return hasher.hash(secrets.token_hex())


def sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def create_user(
    db: Database, email: str, password: str | None = None, *, name: str | None = None, admin: bool = False
) -> User:
    """A new user. InvalidParams for a bad or taken e-mail or a password under 8 characters."""
    email = email.strip().lower()
    if "@" not in email or len(email) > 254:
        raise InvalidParams(f"E-mail {email!r} is not valid.")
    password_hash = _hashed(password) if password is not None else None
    with db.write() as session:
        if session.scalar(select(User.id).where(User.email == email)):
            raise InvalidParams(f"A user with the e-mail {email} exists already.")
        user = User(email=email, name=name, password_hash=password_hash, admin=admin)
        session.add(user)
        return user


def _hashed(password: str) -> str:
    if len(password) < 8:
        raise InvalidParams("A password needs at least 8 characters.")
    return hasher.hash(password)


def set_password(db: Database, user_id: str, password: str) -> None:
    hashed = _hashed(password)
    with db.write() as session:
        session.get_one(User, user_id).password_hash = hashed


def rename_user(db: Database, user_id: str, name: str | None) -> User:
    with db.write() as session:
        user = session.get_one(User, user_id)
        user.name = name
        return user


def find_user(db: Database, email_or_id: str) -> User:
    with db.read() as session:
        user = session.scalar(select(User).where((User.email == email_or_id.lower()) | (User.id == email_or_id)))
    if not user:
        raise NotFound("user")
    return user


def check_password(db: Database, email: str, password: str) -> User:
    """The user, or Unauthorized, which does not tell whether the e-mail or the password was wrong."""
    with db.read() as session:
        user = session.scalar(select(User).where(User.email == email.strip().lower()))
    try:
        hasher.verify((user and user.password_hash) or _nobody(), password)
    except (VerifyMismatchError, InvalidHashError):
        user = None
    if not user:
        raise Unauthorized("Invalid credentials provided.")
    return user


def authorize(
    db: Database, user: User, description: str = "", scope: list[str] | None = None, expires_in: int | None = None
) -> tuple[Authorization, str]:
    """A new token for the user: the authorization and the token, which is not kept."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    expires = utcnow() + timedelta(seconds=expires_in) if expires_in else None
    with db.write() as session:
        authorization = Authorization(
            user=session.get_one(User, user.id),
            description=description,
            scope=scope or ["global"],
            token_sha256=sha256(token),
            expires_at=expires,
        )
        session.add(authorization)
        session.flush()
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


def require_admin(user: User) -> None:
    if not user.admin:
        raise Forbidden("Only the operator of this platform may do that.")
