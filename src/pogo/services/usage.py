"""Dyno time: from when a dyno got a container until that ended, by app, process type, size and day.

An interval is opened and closed by the very transactions that change its dyno, so that pogod may be killed at any
time. What nobody saw end, since the machine went down, ends when it was seen last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from pogo.model import App, Dyno, DynoDay, DynoInterval, utcnow
from pogo.rules import usage_days
from pogo.services.database import Database

KEPT_DAYS = 400  # thirteen months
SEEN_EVERY = timedelta(minutes=1)
_SETTLED = timedelta(days=2)  # since the end of an interval that is added to its days
_AT_ONCE = 2000
_OVER = ("crashed", "complete", "down")


@dataclass(frozen=True)
class Used:
    """Dyno time of one kind on one day (UTC)."""

    day: date
    app_id: str
    app_name: str
    type: str
    size: str
    milliseconds: int


def begin(session: Session, dyno_id: str) -> None:
    """A dyno gets a container: in the transaction that says so."""
    dyno = session.get_one(Dyno, dyno_id)
    app, now = session.get_one(App, dyno.app_id), utcnow()
    end(session, dyno_id, None)
    session.add(
        DynoInterval(
            dyno_id=dyno_id,
            app_id=app.id,
            app_name=app.name,
            owner=app.team_id or app.owner_id,
            type=dyno.type,
            size=dyno.size,
            started_at=now,
            seen_at=now,
            ended_at=None,
        )
    )


def changed(session: Session, dyno_id: str, values: dict[str, Any], ended_at: datetime | None = None) -> None:
    """To be called with every change of a dyno. ended_at: when its container ended, as in `end`."""
    if values.get("state") == "starting" and values.get("container"):
        begin(session, dyno_id)
    elif values.get("state") in _OVER or values.get("container", "") is None:
        end(session, dyno_id, ended_at)


def end(session: Session, dyno_id: str, at: datetime | None) -> None:
    """at: when its container ended; None where nobody saw it: then it ends when it was seen last."""
    mine = (DynoInterval.dyno_id == dyno_id, DynoInterval.ended_at.is_(None))
    for row in session.scalars(select(DynoInterval).where(*mine)):
        row.ended_at = max(row.started_at, min(at or row.seen_at, utcnow()))


def seen(db: Database, running: Collection[str]) -> None:
    """Note that the dynos of these ids run, and end intervals whose dyno is gone. Called again and again."""
    now = utcnow()
    with db.write() as session:
        for row in session.scalars(select(DynoInterval).where(DynoInterval.ended_at.is_(None))):
            if row.dyno_id in running:
                row.seen_at = now
            elif session.get(Dyno, row.dyno_id) is None:
                row.ended_at = row.seen_at


def hand_over(session: Session, app: App) -> None:
    """The app has another owner, or name: what its dynos use from now on is told of that one."""
    session.flush()
    now, owner = utcnow(), app.team_id or app.owner_id
    for row in session.scalars(
        select(DynoInterval).where(DynoInterval.app_id == app.id, DynoInterval.ended_at.is_(None))
    ):
        row.ended_at = now
        fields = {name: getattr(row, name) for name in ("dyno_id", "app_id", "type", "size")}
        session.add(DynoInterval(**fields, app_name=app.name, owner=owner, started_at=now, seen_at=now, ended_at=None))


def add_up(db: Database) -> None:
    """Add intervals that have ended long ago to their days, and forget days that are too old."""
    now = utcnow()
    more = True
    while more:
        with db.write() as session:
            settled = select(DynoInterval).where(DynoInterval.ended_at < now - _SETTLED).limit(_AT_ONCE)
            rows = list(session.scalars(settled))
            more = len(rows) == _AT_ONCE
            for row in rows:
                assert row.ended_at
                for day, milliseconds in usage_days.split(row.started_at, row.ended_at):
                    _add(session, day, row, milliseconds)
                session.delete(row)
    with db.write() as session:
        session.execute(delete(DynoDay).where(DynoDay.day < now.date() - timedelta(days=KEPT_DAYS)))


def _add(session: Session, day: date, row: DynoInterval, milliseconds: int) -> None:
    key = (day, row.owner, row.app_id, row.type, row.size)
    found = session.get(DynoDay, key)
    if found is None:
        found = DynoDay(day=day, owner=row.owner, app_id=row.app_id, type=row.type, size=row.size, milliseconds=0)
        session.add(found)
    found.app_name = row.app_name
    found.milliseconds += milliseconds


def of(db: Database, start: date, end: date, *, owner: str | None = None, app_id: str | None = None) -> list[Used]:
    """From the first day to the last, both included, by day, app, type and size. Dynos that run count until now."""
    now, names = utcnow(), dict[str, str]()
    sums = Counter[tuple[date, str, str, str]]()
    first = datetime.combine(start, time(), UTC)
    after = datetime.combine(end + timedelta(days=1), time(), UTC)
    with db.read() as session:
        days = select(DynoDay).where(DynoDay.day >= start, DynoDay.day <= end)
        intervals = select(DynoInterval).where(
            DynoInterval.started_at < after, or_(DynoInterval.ended_at.is_(None), DynoInterval.ended_at > first)
        )
        if owner:
            days, intervals = days.where(DynoDay.owner == owner), intervals.where(DynoInterval.owner == owner)
        if app_id:
            days, intervals = days.where(DynoDay.app_id == app_id), intervals.where(DynoInterval.app_id == app_id)
        for whole in session.scalars(days):
            sums[whole.day, whole.app_id, whole.type, whole.size] += whole.milliseconds
            names[whole.app_id] = whole.app_name
        for row in session.scalars(intervals.order_by(DynoInterval.started_at)):
            names[row.app_id] = row.app_name
            until = min(row.ended_at or now, after)
            for day, milliseconds in usage_days.split(max(row.started_at, first), until):
                sums[day, row.app_id, row.type, row.size] += milliseconds
        living = select(App.id, App.name).where(App.id.in_(names), App.destroyed_at.is_(None))
        names.update((row.id, row.name) for row in session.execute(living))
    return [Used(day, app, names[app], type, size, sum) for (day, app, type, size), sum in sorted(sums.items())]
