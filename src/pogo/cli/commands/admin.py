"""admin:…: what only the operator may do: users, invitations, the audit record."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlencode

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context


def audit(context: Context) -> None:
    query = {key: context.option(key) for key in ("user", "app")}
    most = min(int(context.option("num") or 50), 1000)
    path = "/audit-events?" + urlencode({key: value for key, value in query.items() if value})
    rows = context.api.call("GET", path, range_=f"number ..; max={most}, order=desc")
    if context.on("json"):
        output.json_text(rows)
        return
    names = ["When", "Who", "From", "What", "App", "Changed"]
    output.table(names, [[r["created_at"], *_who(r), r["action"], _app(r), _changes(r)] for r in reversed(rows)])


def _who(row: dict[str, Any]) -> tuple[str, str]:
    return row["actor"]["email"] or "-", row["ip"] or "-"


def _app(row: dict[str, Any]) -> str:
    return row["app"]["name"] if row["app"] else "-"


def _changes(row: dict[str, Any]) -> str:
    """`apps (config), releases +`"""
    signs = {"create": "+", "destroy": "-"}
    shown = {
        f"{one['type']} {signs.get(one['change']) or '(' + ', '.join(one['fields']) + ')'}" for one in row["changes"]
    }
    return ", ".join(sorted(shown))


def invite(context: Context) -> None:
    made = context.api.post("/invitations", {"email": context.args["email"]})
    _hand_out(context, made, "an account")


def reset(context: Context) -> None:
    made = context.api.post("/password-resets", {"email": context.args["email"]})
    _hand_out(context, made, "a new password")


def _hand_out(context: Context, made: dict[str, Any], what: str) -> None:
    if context.on("json"):
        output.json_text(made)
        return
    output.line(made["url"])
    sys.stdout.flush()
    sys.stderr.write(
        f"Give this to {context.args['email']} alone: whoever opens it first sets the password. It is good for {what}\n"
        f"until {made['expires_at']}; also by: pogo auth:join URL\n"
    )


def invitations(context: Context) -> None:
    rows = context.api.get_all("/invitations")
    if context.on("json"):
        output.json_text(rows)
    elif not rows:
        output.line("No invitations.")
    else:
        names = ["E-mail", "For", "By", "Until"]
        output.table(names, [[r["email"], r["kind"], r["invited_by"], r["expires_at"]] for r in rows])


def withdraw(context: Context) -> None:
    with output.Action(f"Withdrawing the invitation of {output.paint(context.args['email'], 'cyan', sys.stderr)}"):
        context.api.delete(f"/invitations/{escape(context.args['email'])}")


def users(context: Context) -> None:
    rows = context.api.get_all("/users")
    if context.on("json"):
        output.json_text(rows)
        return
    names = ["E-mail", "Name", "Two factors", "Last login"]
    lines = [
        [r["email"], r["name"] or "", "yes" if r["two_factor_authentication"] else "", r["last_login"]] for r in rows
    ]
    output.table(names, lines)


def forget_two_factor(context: Context) -> None:
    email = context.args["email"]
    with output.Action(f"Switching off the two factors of {output.paint(email, 'cyan', sys.stderr)}"):
        context.api.delete(f"/users/{escape(email)}/two-factor")
    sys.stderr.write(f"{email} has to log in again, by password; tokens that are no logins go on.\n")


def remove(context: Context) -> None:
    with output.Action(f"Removing {output.paint(context.args['email'], 'cyan', sys.stderr)}"):
        context.api.delete(f"/users/{escape(context.args['email'])}")
