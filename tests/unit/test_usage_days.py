"""Dyno time: split by days, recorded with the changes of dynos, added up later, told by owner."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from pogo.model import App, Dyno, DynoInterval, Release, User
from pogo.rules import usage_days
from pogo.services import apps, dynos, people, team_apps, teams, usage
from pogo.services.database import Database

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(90)),
)
def test_the_parts_of_an_interval_make_the_whole(start: datetime, length: timedelta) -> None:
    parts = list(usage_days.split(start, start + length))
    whole = length // timedelta(milliseconds=1)
    assert abs(sum(part for _, part in parts) - whole) <= 1
    assert all(0 < part <= usage_days.DAY for _, part in parts)
    days = [day for day, _ in parts]
    assert days == sorted(set(days))


def test_months() -> None:
    assert usage_days.days_of(date(2028, 2, 1)) == 29
    assert usage_days.month_after(date(2026, 12, 1)) == date(2027, 1, 1)
    assert usage_days.average(usage_days.DAY * 15, 30) == 0.5
    assert list(usage_days.split(NOON, NOON)) == []


class World:
    """An app with one dyno, and a clock that stands still."""

    def __init__(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.db, self.now = db, NOON
        for module in (usage, dynos):
            monkeypatch.setattr(module, "utcnow", lambda: self.now)
        self.ann = people.create_user(db, "ann@example.com")
        self.app = apps.create_app(db, self.ann, "shop", "pogo-13", 10)
        with db.write() as session:
            release = Release(
                app=session.get_one(App, self.app.id),
                version=9,
                status="succeeded",
                description="x",
                user=session.get_one(User, self.ann.id),
                config={},
            )
            session.add(release)
            session.flush()
            self.release = release.id

    def dyno(self, type: str = "web", size: str = "Basic") -> str:
        values = {"app_id": self.app.id, "release_id": self.release, "number": 1, "size": size, "command": "x"}
        dynos.create(self.db, [{**values, "type": type}])
        with self.db.read() as session:
            found = session.scalars(select(Dyno.id).order_by(Dyno.created_at.desc())).first()
        assert found
        return found

    def change(self, id: str, expected: str, **values: Any) -> None:
        assert dynos.change(self.db, id, expected, **values)

    def boot(self, id: str, container: str, expected: str = "starting") -> None:
        self.change(id, expected, state="starting", container=container)

    def used(self, **of: Any) -> dict[date, float]:
        found = usage.of(self.db, date(2026, 1, 1), date(2026, 12, 31), **of)
        return {one.day: one.milliseconds / 1000 for one in found}


@pytest.fixture
def world(db: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(db, monkeypatch)


def test_the_life_of_a_dyno(world: World) -> None:
    """It boots, crashes, waits, boots again, is replaced: only while it has a container, time passes."""
    id = world.dyno()
    world.now += timedelta(seconds=5)
    world.boot(id, "a")
    world.now += timedelta(seconds=10)
    assert world.used() == {NOON.date(): 10}, "it counts while it runs"
    world.change(id, "starting", state="up")
    world.now += timedelta(seconds=10)
    world.change(id, "up", state="crashed", ended_at=world.now - timedelta(seconds=3))
    world.now += timedelta(seconds=60)
    world.change(id, "crashed", container=None)
    assert world.used() == {NOON.date(): 17}, "the container's end counts, not when it was noticed"
    world.boot(id, "b", "crashed")
    world.now += timedelta(days=1)
    dynos.forget(world.db, id, world.now)
    assert world.used() == {NOON.date(): 17 + 43_200 - 85, NOON.date() + timedelta(days=1): 43_285}
    before = world.used()
    world.now += timedelta(days=3)
    usage.add_up(world.db)
    usage.add_up(world.db)
    assert world.used() == before, "adding up changes nothing"
    with world.db.read() as session:
        assert session.scalars(select(DynoInterval)).all() == []
    world.now += timedelta(days=usage.KEPT_DAYS)
    usage.add_up(world.db)
    assert world.used() == {}


def test_an_end_that_nobody_saw(world: World) -> None:
    """The machine goes down for a day: that day does not count, nor does one whose dyno is gone stay open."""
    one, two = world.dyno(), world.dyno("worker")
    world.boot(one, "a")
    world.boot(two, "b")
    world.now += timedelta(seconds=50)
    usage.seen(world.db, {one, two})
    world.now += timedelta(days=1)
    world.change(one, "starting", state="crashed", ended_at=None)
    with world.db.write() as session:
        session.delete(session.get_one(Dyno, two))
    usage.seen(world.db, set())
    assert {(used.type, used.milliseconds) for used in usage.of(world.db, NOON.date(), NOON.date())} == {
        ("web", 50_000),
        ("worker", 50_000),
    }


def test_an_app_changes_hands(world: World) -> None:
    team = teams.create_team(world.db, world.ann, "makers")
    id = world.dyno(size="Standard-2X")
    world.boot(id, "a")
    world.now += timedelta(seconds=100)
    team_apps.give_to_team(world.db, world.app, team)
    world.now += timedelta(seconds=7)
    assert world.used(owner=world.ann.id) == {NOON.date(): 100}
    assert world.used(owner=team.id) == {NOON.date(): 7}
    assert world.used(app_id=world.app.id) == {NOON.date(): 107}
