"""usage: dyno time of an app, a team, or the caller's own apps."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError


def show(context: Context) -> None:
    """Of one month (of UTC): the present one, where none is given."""
    month = context.option("month") or f"{datetime.now(UTC):%Y-%m}"
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise CliError("The month is of the form YYYY-MM, such as 2026-03.", 2)
    if context.option("app") and context.option("team"):
        raise CliError("Give an app or a team, not both.", 2)
    if app := context.option("app"):
        first = datetime.strptime(month, "%Y-%m").date()
        last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        _of_app(context, context.api.get(f"/apps/{escape(app)}/usage?start={first}&end={last}"), month)
        return
    team = context.option("team")
    whose = f"/teams/{escape(team)}" if team else "/account"
    _of_apps(context, context.api.get(f"{whose}/usage/monthly?start={month}")[0])


def _of_app(context: Context, found: dict[str, Any], month: str) -> None:
    if context.on("json"):
        output.json_text(found)
        return
    sums = Counter[tuple[str, str]]()
    for one in found["dynos"]:
        sums[one["type"], one["size"]] += one["seconds"]
    if not sums:
        output.line(f"{found['app']['name']} had no dynos in {month}.")
        return
    output.header(f"{found['app']['name']} in {month}")
    rows = [[type, size, f"{seconds / 3600:.2f}"] for (type, size), seconds in sorted(sums.items())]
    output.table(["Process type", "Size", "Dyno hours"], rows)


def _of_apps(context: Context, found: dict[str, Any]) -> None:
    if context.on("json"):
        output.json_text(found)
        return
    if not found["apps"]:
        output.line(f"{found['name']} had no dynos in {found['month']}.")
        return
    output.header(f"{found['name']} in {found['month']}")
    rows = [[one["app_name"], f"{one['dynos']:.3f}"] for one in found["apps"]]
    output.table(["App", "Dynos on average, over the month"], [*rows, ["all", f"{found['dynos']:.3f}"]])
