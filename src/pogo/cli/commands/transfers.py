"""apps:transfer, and what becomes of it; apps:join, apps:leave."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

PATH = "/account/app-transfers"


def offer(context: Context) -> None:
    """To a person; to a team, where no person's e-mail is given."""
    recipient = context.args["recipient"]
    who = output.paint(recipient, "magenta", sys.stderr)
    if "@" not in recipient:
        with output.Action(f"Transferring {context.shown_app} to {who}"):
            context.api.patch(f"/teams{context.app_path}", {"owner": recipient})
            if context.on("locked"):
                context.api.patch(f"/teams{context.app_path}", {"locked": True})
        return
    with output.Action(f"Initiating transfer of {context.shown_app} to {who}"):
        made = context.api.post(PATH, {"app": context.app, "recipient": recipient})
    if made["state"] == "pending":
        output.line(f"{recipient} can take it by: pogo apps:transfers:accept {context.app}")


def show(context: Context) -> None:
    rows = context.api.get_all(PATH)
    if context.on("json"):
        output.json_text(rows)
    elif not rows:
        output.line("No transfers.")
    else:
        names = ["App", "From", "To", "State"]
        output.table(
            names, [[r["app"]["name"], r["owner"]["email"], r["recipient"]["email"], r["state"]] for r in rows]
        )


def accept(context: Context) -> None:
    _decide(context, "accepted", "Accepting")


def decline(context: Context) -> None:
    _decide(context, "declined", "Declining")


def _decide(context: Context, state: str, doing: str) -> None:
    with output.Action(f"{doing} the transfer of {output.app_name(context.args['app'], sys.stderr)}"):
        context.api.patch(f"{PATH}/{escape(context.args['app'])}", {"state": state})


def withdraw(context: Context) -> None:
    with output.Action(f"Taking back the transfer of {output.app_name(context.args['app'], sys.stderr)}"):
        context.api.delete(f"{PATH}/{escape(context.args['app'])}")


def join(context: Context) -> None:
    with output.Action(f"Joining {context.shown_app}"):
        context.api.post(f"/teams{context.app_path}/collaborators", {"user": _email(context)})


def leave(context: Context) -> None:
    with output.Action(f"Leaving {context.shown_app}"):
        context.api.delete(f"{context.app_path}/collaborators/{escape(_email(context))}")


def _email(context: Context) -> str:
    account: dict[str, Any] = context.api.get("/account")
    if not account.get("email"):
        raise CliError("The platform does not say who you are. Log in again: pogo login")
    return str(account["email"])
