"""Dyno time of teams, accounts and apps, by day and month (UTC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.resources.teams import MyTeam
from pogo.errors import InvalidParams
from pogo.rules import sizes, usage_days
from pogo.services import usage
from pogo.services.database import Database
from pogo.services.usage import Used

router = resource_router()
NOTHING = {"addons": 0, "data": 0, "partner": 0}


@router.get("/teams/{team}/usage/daily")
def team_by_day(me: Me, seen: MyTeam, start: str = "", end: str = "") -> Response:
    return answer(_daily(me.platform.db, seen.team.id, seen.team.name, start, end))


@router.get("/teams/{team}/usage/monthly")
def team_by_month(me: Me, seen: MyTeam, start: str = "", end: str = "") -> Response:
    return answer(_monthly(me.platform.db, seen.team.id, seen.team.name, start, end))


@router.get("/account/usage/daily")
def account_by_day(me: Me, start: str = "", end: str = "") -> Response:
    """Ours: of the apps that are the caller's own, in the form of a team's."""
    return answer(_daily(me.platform.db, me.user.id, me.user.email, start, end))


@router.get("/account/usage/monthly")
def account_by_month(me: Me, start: str = "", end: str = "") -> Response:
    return answer(_monthly(me.platform.db, me.user.id, me.user.email, start, end))


@router.get("/apps/{app}/usage")
def of_app(me: Me, app: TheApp, start: str = "", end: str = "") -> Response:
    """addons: Heroku's (`usage:addons`). dynos: ours, without `start` those of this month."""
    today = datetime.now(UTC).date()
    first = _day(start, "start") if start else today.replace(day=1)
    found = usage.of(me.platform.db, *_range(first, _day(end, "end") if end else today), app_id=app.id)
    shown = [
        {"date": str(one.day), "type": one.type, "size": one.size, "seconds": one.milliseconds / 1000} for one in found
    ]
    return answer({"addons": [], "app": {"id": app.id, "name": app.name}, "dynos": shown})


def _daily(db: Database, owner: str, name: str, start: str, end: str) -> list[dict[str, Any]]:
    """Every day from start to end (today, where it is not given)."""
    first, last = _range(_day(start, "start"), _day(end, "end") if end else datetime.now(UTC).date())
    by_day = defaultdict[date, list[Used]](list)
    for one in usage.of(db, first, last, owner=owner):
        by_day[one.day].append(one)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [{"date": str(day), **_shown(owner, name, by_day[day], 1)} for day in days]


def _monthly(db: Database, owner: str, name: str, start: str, end: str) -> list[dict[str, Any]]:
    """Every month from start to end; one, where end is not given."""
    first = _month(start, "start")
    last = _month(end, "end") if end else first
    _range(first, last)
    by_month = defaultdict[date, list[Used]](list)
    for one in usage.of(db, first, usage_days.month_after(last) - timedelta(days=1), owner=owner):
        by_month[one.day.replace(day=1)].append(one)
    shown, month = [], first
    while month <= last:
        whole = _shown(owner, name, by_month[month], usage_days.days_of(month), connect=0)
        shown.append({"month": f"{month:%Y-%m}", **whole})
        month = usage_days.month_after(month)
    return shown


def _shown(owner: str, name: str, found: list[Used], days: int, **more: int) -> dict[str, Any]:
    by_app = defaultdict[str, list[Used]](list)
    for one in found:
        by_app[one.app_name].append(one)
    apps = [{"app_name": app, "dynos": _dynos(rows, days), **NOTHING, **more} for app, rows in sorted(by_app.items())]
    return {"id": owner, "name": name, "apps": apps, "dynos": _dynos(found, days), "space": 0, **NOTHING, **more}


def _dynos(found: Iterable[Used], days: int) -> float:
    """Dynos at work on average, each counted by the units of its size (1: Standard-1X)."""
    return usage_days.average(sum(one.milliseconds * _units(one.size) for one in found), days)


def _units(name: str) -> float:
    size = sizes.SIZES.get(name.lower())
    return size.shares / 256 if size else 1


def _range(first: date, last: date) -> tuple[date, date]:
    if last < first:
        raise InvalidParams("Invalid request: `end` is before `start`")
    if (last - first).days > usage.KEPT_DAYS:
        raise InvalidParams(f"Invalid request: at most {usage.KEPT_DAYS} days at a time; that long they are kept")
    return first, last


def _day(text: str, field: str) -> date:
    return _parsed(text, field, "%Y-%m-%d", "YYYY-MM-DD")


def _month(text: str, field: str) -> date:
    return _parsed(text, field, "%Y-%m", "YYYY-MM")


def _parsed(text: str, field: str, form: str, named: str) -> date:
    try:
        found = datetime.strptime(text, form).date()
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year <= 2999:
        raise InvalidParams(f"Invalid request: `{field}` must be of the form {named}")
    return found
