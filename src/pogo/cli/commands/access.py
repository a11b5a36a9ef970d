"""access, access:add, access:remove."""

from __future__ import annotations

import sys

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
    rows = [[one["user"]["email"], one.get("role") or "collaborator"] for one in people]
    output.table(["Email", "Role"], sorted(rows))


def add(context: Context) -> None:
    email = context.args["email"]
    who = output.paint(email, "cyan", sys.stderr)
    with output.Action(f"Adding {who} access to the app {context.shown_app}"):
        context.api.post(f"{context.app_path}/collaborators", {"user": email})


def remove(context: Context) -> None:
    if len(context.rest) != 1:
        raise CliError("Usage: pogo access:remove EMAIL --app APP", 2)
    who = output.paint(context.rest[0], "cyan", sys.stderr)
    with output.Action(f"Removing {who} access from the app {context.shown_app}"):
        context.api.delete(f"{context.app_path}/collaborators/{escape(context.rest[0])}")
