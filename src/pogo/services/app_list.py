"""Lists of apps as they are shown, a page at a time.

Apps are many and are listed often, so the list says only which apps, and a stamp of each that changes with whatever is
shown of it; what is shown is asked for those alone whose stamp is new to the caller. Config vars stay encrypted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, select, type_coerce

from pogo.model import App, Release, Slug, Team, User
from pogo.services.database import Database

ORDERS = ("name", "id")
"""What a list of apps can be ordered by; the first one is the default."""

Condition = ColumnElement[bool]


class AppFacts(NamedTuple):
    """What is shown of an app. slug_size: bytes of the slug that runs."""

    id: str
    name: str
    slot: int
    acm: bool
    build_stack: str
    created_at: datetime
    detected: str | None
    locked: bool
    maintenance: bool
    owner_id: str
    released_at: datetime | None
    repo_size: int | None
    stack: str
    team_id: str | None
    updated_at: datetime
    owner_email: str
    team_name: str | None
    slug_size: int | None


_OF_APP = AppFacts._fields[:15]


class Part(NamedTuple):
    """Of a list by `order`: from `start` (without it, if `exclusive`) to `end`, at most `max`; empty: no limit."""

    order: str = "name"
    start: str = ""
    end: str = ""
    exclusive: bool = False
    descending: bool = False
    max: int = 200


class Stamp(NamedTuple):
    """Of an app. changed: of a type that is the driver's own."""

    name: str
    id: str
    changed: object
    owner: str
    team: str | None


def facts(app: App, slug_size: int | None) -> AppFacts:
    team = app.team.name if app.team else None
    return AppFacts._make([*(getattr(app, name) for name in _OF_APP), app.owner.email, team, slug_size])


def list_stamps(db: Database, which: Condition | None, part: Part) -> tuple[list[Stamp], bool]:
    """Living apps, and whether there are more of them behind these. which: those (services.membership)."""
    column = getattr(App, part.order)
    query = _STAMPS if which is None else _STAMPS.where(which)
    if part.start:
        query = query.where(_after(column, part))
    if part.end:
        query = query.where(column >= part.end if part.descending else column <= part.end)
    query = query.order_by(column.desc() if part.descending else column).limit(part.max + 1)
    with db.read() as session:
        rows = session.execute(query).all()
    return [Stamp._make(row) for row in rows[: part.max]], len(rows) > part.max


def find_facts(db: Database, ids: Sequence[str]) -> list[AppFacts]:
    with db.read() as session:
        return [AppFacts._make(row) for row in session.execute(_FACTS.where(App.id.in_(ids)))]


def _after(column: Any, part: Part) -> Any:
    if part.exclusive:
        return column < part.start if part.descending else column > part.start
    return column <= part.start if part.descending else column >= part.start


def _living(*columns: Any) -> Select[Any]:
    with_people = select(*columns).join(User, User.id == App.owner_id).outerjoin(Team, Team.id == App.team_id)
    return with_people.where(App.destroyed_at.is_(None))


_SIZE = (
    select(Slug.size)
    .join(Release, Release.slug_id == Slug.id)
    .where(Release.app_id == App.id, Release.status == "succeeded")
    .order_by(Release.version.desc())
    .limit(1)
    .correlate(App)
    .scalar_subquery()
)
_PEOPLE = (User.email, Team.name)
# Every change of an app changes `updated_at`; a release of another slug does, too. It is left as the driver gives it:
# to parse a thousand of them takes longer than to find them.
_STAMPS = _living(App.name, App.id, type_coerce(App.updated_at, String), *_PEOPLE)
_FACTS = _living(*(getattr(App, name) for name in _OF_APP), *_PEOPLE, _SIZE)
