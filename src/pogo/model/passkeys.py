"""Passkeys (WebAuthn): what a user logs in with on the platform's own pages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.base import Base, Record
from pogo.model.people import User


class Passkey(Record, Base):
    """credential: its id, base64url. public_key: as COSE. sign_count: of its last use; 0 where it does not count.

    backed_up: whether it is kept with the user's other devices, too. used_at: last login with it.
    """

    __tablename__ = "passkeys"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    credential: Mapped[str] = mapped_column(unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(JSON, default=list)
    backed_up: Mapped[bool]
    used_at: Mapped[datetime | None]
    user: Mapped[User] = relationship(lazy="joined")


class PasskeySecret(Record, Base):
    """Good once and for minutes. kind: `page`, on which a user makes a passkey; `make` or `login`, a challenge.

    user_id: who makes a passkey; None for a login, of which nobody knows yet whose it is.
    """

    __tablename__ = "passkey_secrets"

    kind: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
