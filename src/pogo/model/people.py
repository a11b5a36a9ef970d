"""Users and the tokens that act for them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.base import Base, Record, utcnow


class User(Record, Base):
    """email: lower case. password_hash: argon2id, None for a user who has none yet. admin: the operator."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    password_hash: Mapped[str | None]
    admin: Mapped[bool] = mapped_column(default=False)
    last_login: Mapped[datetime] = mapped_column(default=utcnow)


class Authorization(Record, Base):
    """A token. Only its SHA-256 is kept; the token itself is shown once, when it is made."""

    __tablename__ = "authorizations"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    description: Mapped[str]
    scope: Mapped[list[str]] = mapped_column(JSON)
    token_sha256: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime | None]
    user: Mapped[User] = relationship(lazy="joined")
