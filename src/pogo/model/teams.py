"""Teams: people who own apps together."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.base import Base, Record
from pogo.model.people import User


class Team(Record, Base):
    """name: as those of apps, and in a name space of its own."""

    __tablename__ = "teams"

    name: Mapped[str] = mapped_column(unique=True)


class TeamMember(Record, Base):
    """role: one of rules.permissions.TEAM_ROLES."""

    __tablename__ = "team_members"
    __table_args__ = (UniqueConstraint("team_id", "user_id"),)

    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[str]
    team: Mapped[Team] = relationship(lazy="joined")
    user: Mapped[User] = relationship(lazy="joined")


class TeamInvitation(Record, Base):
    """Only the token's SHA-256 is kept; the token itself is shown once, to whoever invites."""

    __tablename__ = "team_invitations"
    __table_args__ = (UniqueConstraint("team_id", "email"),)

    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"))
    email: Mapped[str]
    role: Mapped[str]
    inviter_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_sha256: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime]
    team: Mapped[Team] = relationship(lazy="joined")
    inviter: Mapped[User] = relationship(lazy="joined")
