"""access, access:add, access:remove, access:update."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError


def show(context: Context) -> None:
    people = context.api.get_all(f"{context.app_path}/collaborators")
    if context.on("json"):
        output.json_text(people)
        return
    output.header(f"Access on {output.app_name(context.app)}")
    rows = [[one["user"]["email"], one.get("role") or "collaborator", _permissions(one)] for one in people]
    output.table(["Email", "Role", "Permissions"], sorted(rows))


def _permissions(person: dict[str, Any]) -> str:
    return ", ".join(sorted(one["name"] for one in person.get("permissions") or []))


def add(context: Context) -> None:
    email = context.args["email"]
    who = output.paint(email, "cyan", sys.stderr)
    with output.Action(f"Adding {who} access to the app {context.shown_app}"):
        body = {"user": email, **_wanted(context)}
        context.api.post(f"{context.app_path}/collaborators", body)


def _wanted(context: Context) -> dict[str, list[str]]:
    names = (context.option("permissions") or "").split(",")
    wanted = [name.strip() for name in names if name.strip()]
    return {"permissions": wanted} if wanted else {}


def update(context: Context) -> None:
    email = context.args["email"]
    who = output.paint(email, "cyan", sys.stderr)
    wanted = _wanted(context)
    if not wanted:
        raise CliError("Name permissions, as: --permissions deploy,view\nThey are: deploy, manage, operate, view.", 2)
    with output.Action(f"Updating {who} in application {context.shown_app} with {', '.join(wanted['permissions'])}"):
        context.api.patch(f"{context.app_path}/collaborators/{escape(email)}", wanted)


def remove(context: Context) -> None:
    if len(context.rest) != 1:
        raise CliError("Usage: pogo access:remove EMAIL --app APP", 2)
    who = output.paint(context.rest[0], "cyan", sys.stderr)
    with output.Action(f"Removing {who} access from the app {context.shown_app}"):
        context.api.delete(f"{context.app_path}/collaborators/{escape(context.rest[0])}")
