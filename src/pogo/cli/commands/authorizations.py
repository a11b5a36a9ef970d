"""authorizations, clients and sessions: tokens, the programs that ask for them, and logins."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

AUTHORIZATIONS, CLIENTS, SESSIONS = "/oauth/authorizations", "/oauth/clients", "/oauth/sessions"


def show(context: Context) -> None:
    rows = sorted(context.api.get_all(AUTHORIZATIONS), key=lambda one: str(one["description"]))
    if context.on("json"):
        output.json_text(rows)
        return
    if not rows:
        output.line("No OAuth authorizations.")
        return
    output.table(
        ["Description", "ID", "Scope"], [[one["description"], one["id"], ", ".join(one["scope"])] for one in rows]
    )


def create(context: Context) -> None:
    scope, seconds = context.option("scope"), context.option("expires-in")
    body: dict[str, Any] = {"description": context.option("description") or "Long-lived user authorization"}
    body |= {"scope": scope.split(",")} if scope else {}
    body |= {"expires_in": seconds} if seconds else {}
    with output.Action("Creating OAuth Authorization"):
        made = context.api.post(AUTHORIZATIONS, body)
    if context.on("short"):
        output.line(made["access_token"]["token"])
    else:
        _display(context, made)


def info(context: Context) -> None:
    _display(context, context.api.get(f"{AUTHORIZATIONS}/{escape(context.args['id'])}"))


def _display(context: Context, one: dict[str, Any]) -> None:
    if context.on("json"):
        output.json_text(one)
        return
    access = one.get("access_token") or {}
    client = one.get("client")
    seconds = access.get("expires_in")
    values = {
        "Client": client["name"] if client else "<none>",
        "Redirect URI": client["redirect_uri"] if client else None,
        "ID": one["id"],
        "Description": one["description"],
        "Scope": ", ".join(one["scope"]),
        "Token": access.get("token"),
        "Expires in": f"{seconds} s" if seconds is not None else None,
        "Updated at": output.ago(one["updated_at"]),
    }
    output.pairs(values, list(values))


def revoke(context: Context) -> None:
    with output.Action("Revoking OAuth Authorization") as action:
        gone = context.api.delete(f"{AUTHORIZATIONS}/{escape(context.args['id'])}")
        action.done = f"done, revoked authorization from {gone['description']}"


def rotate(context: Context) -> None:
    with output.Action("Rotating OAuth Authorization"):
        new = context.api.post(f"{AUTHORIZATIONS}/{escape(context.args['id'])}/actions/regenerate-tokens")
    _display(context, new)


def update(context: Context) -> None:
    id, secret = context.option("client-id"), context.option("client-secret")
    if bool(id) != bool(secret):
        raise CliError("--client-id and --client-secret belong together.", 2)
    body: dict[str, Any] = {"client": {"id": id, "secret": secret}} if id else {}
    description = context.option("description")
    body |= {"description": description} if description is not None else {}
    with output.Action("Updating OAuth Authorization"):
        changed = context.api.patch(f"{AUTHORIZATIONS}/{escape(context.args['id'])}", body)
    _display(context, changed)


def clients(context: Context) -> None:
    rows = sorted(context.api.get_all(CLIENTS), key=lambda one: str(one["name"]))
    if context.on("json"):
        output.json_text(rows)
        return
    if not rows:
        output.line("No OAuth clients.")
        return
    output.table(["Name", "ID", "Redirect URI"], [[one["name"], one["id"], one["redirect_uri"]] for one in rows])


def create_client(context: Context) -> None:
    name = context.args["name"]
    with output.Action(f"Creating {output.paint(name, 'cyan', sys.stderr)}"):
        made = context.api.post(CLIENTS, {"name": name, "redirect_uri": context.args["redirect_uri"]})
    if context.on("json"):
        output.json_text(made)
        return
    for key, value in (("HEROKU_OAUTH_ID", made["id"]), ("HEROKU_OAUTH_SECRET", made["secret"])):
        output.line(f"{key}={value}")


def client_info(context: Context) -> None:
    _display_client(context, context.api.get(_client(context)))


def rotate_client(context: Context) -> None:
    with output.Action(f"Updating {output.paint(context.args['id'], 'cyan', sys.stderr)}"):
        new = context.api.post(f"{_client(context)}/actions/rotate-credentials")
    _display_client(context, new)


def _display_client(context: Context, one: dict[str, Any]) -> None:
    if context.on("json"):
        output.json_text(one)
    elif context.on("shell"):
        output.line(f"HEROKU_OAUTH_ID={one['id']}\nHEROKU_OAUTH_SECRET={one['secret']}")
    else:
        output.header(one["name"])
        output.pairs({key: value for key, value in one.items() if key != "name"})


def update_client(context: Context) -> None:
    name, url = context.option("name"), context.option("url")
    if not name and not url:
        raise CliError("No changes provided.\nGive --name or --url.", 2)
    body = {key: value for key, value in (("name", name), ("redirect_uri", url)) if value}
    with output.Action(f"Updating {output.paint(context.args['id'], 'cyan', sys.stderr)}"):
        context.api.patch(_client(context), body)


def destroy_client(context: Context) -> None:
    with output.Action(f"Destroying {output.paint(context.args['id'], 'cyan', sys.stderr)}"):
        context.api.delete(_client(context))


def _client(context: Context) -> str:
    return f"{CLIENTS}/{escape(context.args['id'])}"


def sessions(context: Context) -> None:
    rows = sorted(context.api.get_all(SESSIONS), key=lambda one: str(one["description"]))
    if context.on("json"):
        output.json_text(rows)
        return
    if not rows:
        output.line("No OAuth sessions.")
        return
    output.table(["Description", "ID"], [[one["description"], one["id"]] for one in rows])


def destroy_session(context: Context) -> None:
    with output.Action(f"Destroying {output.paint(context.args['id'], 'cyan', sys.stderr)}"):
        context.api.delete(f"{SESSIONS}/{escape(context.args['id'])}")
