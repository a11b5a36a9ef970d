"""teams, members, apps:lock."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError


def show(context: Context) -> None:
    _list(context, context.api.get_all("/teams"))


def _list(context: Context, found: list[dict[str, Any]]) -> None:
    if context.on("json"):
        output.json_text(found)
        return
    if not found:
        output.line("You are in no teams.")
        return
    output.table(["Team", "Role"], [[one["name"], one["role"]] for one in found])


def orgs(context: Context) -> None:
    found = context.api.get_all("/teams")
    if context.on("enterprise"):
        found = [one for one in found if one.get("type") == "enterprise"]
    _list(context, found)


def _path(context: Context) -> str:
    return f"/teams/{escape(context.option('team') or '')}"


def members(context: Context) -> None:
    found: list[dict[str, Any]] = [] if context.on("pending") else context.api.get_all(f"{_path(context)}/members")
    rows = [{"email": one["email"], "role": one["role"], "status": ""} for one in found]
    if context.on("pending") or not context.option("role"):
        invited = context.api.get_all(f"{_path(context)}/invitations")
        rows += [{"email": one["user"]["email"], "role": one["role"], "status": "pending"} for one in invited]
    rows = [one for one in rows if context.option("role") in (None, one["role"])]
    if context.on("json"):
        output.json_text(rows)
        return
    if not rows:
        output.line(f"No members in {context.option('team')}")
        return
    output.table(["Email", "Role", "Status"], [[one["email"], one["role"], one["status"]] for one in rows])


def add(context: Context) -> None:
    _put(context, context.args["email"], f"Adding {_who(context.args['email'])} to {context.option('team')}")


def _put(context: Context, email: str, text: str) -> None:
    with output.Action(f"{text} as {context.option('role')}"):
        context.api.put(f"{_path(context)}/members", {"email": email, "role": context.option("role")})


def _who(email: str) -> str:
    return output.paint(email, "cyan", sys.stderr)


def _email(context: Context) -> str:
    if len(context.rest) != 1:
        raise CliError(f"Usage: pogo {context.command.id} EMAIL --team TEAM", 2)
    return context.rest[0]


def assign(context: Context) -> None:
    email = _email(context)
    with output.Action(f"Setting {_who(email)} in {context.option('team')} to {context.option('role')}"):
        context.api.patch(f"{_path(context)}/members", {"email": email, "role": context.option("role")})


def remove(context: Context) -> None:
    email = _email(context)
    with output.Action(f"Removing {_who(email)} from {context.option('team')}"):
        context.api.delete(f"{_path(context)}/members/{escape(email)}")


def lock(context: Context) -> None:
    _lock(context, "Locking", locked=True)


def unlock(context: Context) -> None:
    _lock(context, "Unlocking", locked=False)


def _lock(context: Context, verb: str, *, locked: bool) -> None:
    path = f"/teams{context.app_path}"
    if context.api.get(path)["locked"] == locked:
        raise CliError(f"{context.app} is {'locked' if locked else 'unlocked'} already.")
    with output.Action(f"{verb} {context.shown_app}"):
        context.api.patch(path, {"locked": locked})
