"""Counts of what there is, for the operator's metrics."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from pogo.model import App, Build, Dyno
from pogo.services.database import Database


@dataclass(frozen=True)
class Counts:
    """dynos: by state; builds: by status."""

    apps: int
    dynos: dict[str, int]
    builds: dict[str, int]


def count(db: Database) -> Counts:
    with db.read() as session:
        return Counts(
            session.scalar(select(func.count()).select_from(App).where(App.destroyed_at.is_(None))) or 0,
            dict(session.execute(select(Dyno.state, func.count()).group_by(Dyno.state)).all()),
            dict(session.execute(select(Build.status, func.count()).group_by(Build.status)).all()),
        )
