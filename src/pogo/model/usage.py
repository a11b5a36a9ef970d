"""How long dynos had containers, for usage by day and month."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from pogo.model.base import Base, Record


class DynoInterval(Record, Base):
    """The life of one container of a dyno. Nothing here refers to other rows: it outlives app and owner.

    owner: id of the team, or else of the user, that had the app then. ended_at: None while it runs.
    seen_at: when it was last known to run, for one whose end nobody saw (the machine went down).
    """

    __tablename__ = "dyno_intervals"
    __table_args__ = (Index("ix_dyno_intervals_open", "dyno_id", "ended_at"),)

    dyno_id: Mapped[str]
    app_id: Mapped[str] = mapped_column(index=True)
    app_name: Mapped[str]
    owner: Mapped[str] = mapped_column(index=True)
    type: Mapped[str]
    size: Mapped[str]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)


class DynoDay(Base):
    """Intervals that have ended, added up. day: of UTC. milliseconds: of all dynos of this kind together."""

    __tablename__ = "dyno_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(primary_key=True)
    app_id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[str] = mapped_column(primary_key=True)
    app_name: Mapped[str]
    milliseconds: Mapped[int] = mapped_column(BigInteger)
