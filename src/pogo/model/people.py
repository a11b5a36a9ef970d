"""Users, the tokens that act for them, and what they prove themselves with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.base import Base, EncryptedJson, Record, utcnow


class User(Record, Base):
    """email: lower case. password_hash: argon2id, None for a user who has none yet. admin: the operator.

    totp: secret of the two-factor codes, None without; totp_since: when it was switched on, None while the user
    has not shown a code of it; totp_step: the last 30 s for which a code was taken, which is never taken twice.
    recovery: SHA-256 of the recovery codes that are left. preferences: what clients keep with the account.
    """

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    password_hash: Mapped[str | None]
    admin: Mapped[bool] = mapped_column(default=False)
    last_login: Mapped[datetime] = mapped_column(default=utcnow)
    totp: Mapped[str | None] = mapped_column(EncryptedJson)
    totp_since: Mapped[datetime | None]
    totp_step: Mapped[int] = mapped_column(default=0, server_default="0")
    recovery: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    preferences: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")


class Client(Record, Base):
    """A program that asks users for tokens (OAuth). Its secret is kept, encrypted, since its owner sees it again."""

    __tablename__ = "oauth_clients"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    redirect_uri: Mapped[str]
    secret: Mapped[str] = mapped_column(EncryptedJson)


class Authorization(Record, Base):
    """A token. Only its SHA-256 is kept; the token itself is shown once, when it is made.

    session: made by a login, so it is listed as a session and ends when the password changes.
    client: the program that it was made for, which may renew it by the refresh token.
    """

    __tablename__ = "authorizations"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    description: Mapped[str]
    scope: Mapped[list[str]] = mapped_column(JSON)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime | None]
    session: Mapped[bool] = mapped_column(default=False, server_default="0")
    client_id: Mapped[str | None] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    refresh_sha256: Mapped[str | None] = mapped_column(unique=True)
    user: Mapped[User] = relationship(lazy="joined")
    client: Mapped[Client | None] = relationship(lazy="joined")


class Grant(Record, Base):
    """A code that a user gave a client by way of his browser; the client makes a token of it, once, by its secret."""

    __tablename__ = "oauth_grants"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), index=True)
    scope: Mapped[list[str]] = mapped_column(JSON)
    code_sha256: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]


class Key(Record, Base):
    """An SSH public key. public_key: `<type> <base64>`, without the comment. fingerprint: MD5, as Heroku shows it."""

    __tablename__ = "keys"
    __table_args__ = (UniqueConstraint("user_id", "fingerprint"),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    public_key: Mapped[str]
    comment: Mapped[str]
    fingerprint: Mapped[str]
    user: Mapped[User] = relationship(lazy="joined")


class Invitation(Record, Base):
    """Lets one person make an account, or set the password of the account that he has.

    email: whose. user_id: of the account that gets a new password; None for a new account.
    """

    __tablename__ = "invitations"

    email: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    invited_by: Mapped[str]
    expires_at: Mapped[datetime]


class BrowserLogin(Record, Base):
    """A login that a client has begun and a person goes on with in a browser (`heroku login`).

    token: of the authorization that came of it, until the client has fetched it.
    """

    __tablename__ = "browser_logins"

    description: Mapped[str]
    page_sha256: Mapped[str] = mapped_column(unique=True)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    token: Mapped[str | None] = mapped_column(EncryptedJson)
    refused: Mapped[bool] = mapped_column(default=False)


class FailedLogins(Base):
    """How often in a row somebody failed to log in. key: SHA-256 of an e-mail, also with an address."""

    __tablename__ = "failed_logins"

    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    since: Mapped[datetime] = mapped_column(default=utcnow)
    locked_until: Mapped[datetime | None]
