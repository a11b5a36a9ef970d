"""Usage by day and month, in Heroku's form; what may be asked, and by whom."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from api_rig import Client, People

from pogo.model import App, DynoDay, DynoInterval
from pogo.services.database import Database

HOUR = 3_600_000


@pytest.fixture(autouse=True)
def used(db: Database, app: App, everyone: People) -> None:
    """Half of March by a dyno of two units, and an hour of it by one of one."""
    with db.write() as session:
        for day in range(1, 16):
            whole = DynoDay(day=date(2026, 3, day), owner=everyone.users["ann"].id, app_id=app.id, app_name="old-name")
            whole.type, whole.size, whole.milliseconds = "web", "Standard-2X", 24 * HOUR
            session.add(whole)
        begun = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
        session.add(
            DynoInterval(
                dyno_id="x",
                app_id=app.id,
                app_name="shop",
                owner=everyone.users["ann"].id,
                type="run",
                size="Basic",
                started_at=begun,
                seen_at=begun,
                ended_at=begun + timedelta(hours=1),
            )
        )


def test_usage_of_an_account(ann: Client) -> None:
    (march,) = ann.get("/account/usage/monthly?start=2026-03").json()
    assert (march["month"], march["name"], march["addons"]) == ("2026-03", "ann@example.com", 0)
    assert march["dynos"] == pytest.approx((15 * 24 * 2 + 0.5) / (31 * 24), abs=0.001)
    assert [(one["app_name"], one["dynos"]) for one in march["apps"]] == [("shop", march["dynos"])]
    months = ann.get("/account/usage/monthly?start=2026-02&end=2026-04").json()
    assert [month["month"] for month in months] == ["2026-02", "2026-03", "2026-04"]
    assert months[0]["apps"] == [] and months[2]["dynos"] > 0
    days = ann.get("/account/usage/daily?start=2026-03-15&end=2026-03-16").json()
    assert [(day["date"], day["dynos"]) for day in days] == [("2026-03-15", 2), ("2026-03-16", 0)]


def test_usage_of_an_app(ann: Client, everyone: People) -> None:
    found = ann.get("/apps/shop/usage?start=2026-03-15&end=2026-04-01").json()
    assert found["addons"] == [] and found["dynos"] == [
        {"date": "2026-03-15", "type": "web", "size": "Standard-2X", "seconds": 86400},
        {"date": "2026-03-31", "type": "run", "size": "Basic", "seconds": 1800},
        {"date": "2026-04-01", "type": "run", "size": "Basic", "seconds": 1800},
    ]
    assert "dynos" in ann.get("/apps/shop/usage").json()
    assert everyone.eve.get("/apps/shop/usage").status_code in (403, 404)


def test_usage_of_a_team(ann: Client, everyone: People, db: Database) -> None:
    team = ann.post("/teams", {"name": "makers"}).json()
    with db.write() as session:
        whole = DynoDay(day=date(2026, 3, 1), owner=team["id"], app_id="gone", app_name="gone", type="web")
        whole.size, whole.milliseconds = "Basic", 24 * HOUR
        session.add(whole)
    (day,) = ann.get("/teams/makers/usage/daily?start=2026-03-01&end=2026-03-01").json()
    assert (day["id"], day["name"], day["dynos"]) == (team["id"], "makers", 1)
    assert day["apps"][0]["app_name"] == "gone"
    (month,) = ann.get("/teams/makers/usage/monthly?start=2026-03").json()
    assert month["dynos"] == pytest.approx(1 / 31, abs=0.001) and month["connect"] == 0
    assert everyone.eve.get("/teams/makers/usage/monthly?start=2026-03").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["daily", "daily?start=2026-3", "daily?start=0001-01-01", "daily?start=2026-03-02&end=2026-03-01", "monthly",
     "monthly?start=2026-13", "monthly?start=2020-01&end=2026-01", "daily?start=9999-12-31&end=9999-12-31"],
)  # fmt: skip
def test_what_cannot_be_asked(ann: Client, query: str) -> None:
    assert ann.get(f"/account/usage/{query}").status_code == 422
