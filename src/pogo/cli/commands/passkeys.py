"""passkeys: listed, made in a browser, removed."""

from __future__ import annotations

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.commands.auth import ask_secret
from pogo.cli.context import Context

PATH = "/account/passkeys"


def show(context: Context) -> None:
    found = context.api.get_all(PATH)
    if context.on("json"):
        output.json_text(found)
        return
    if not found:
        output.line("You have no passkeys. Make one: pogo passkeys:add")
        return
    rows = [[one["name"], one["created_at"], one["used_at"] or "never", one["id"]] for one in found]
    output.table(["Name", "Made", "Last used", "Id"], rows)


def add(context: Context) -> None:
    made = context.api.post(PATH, {"password": ask_secret("Password: ")})
    output.line("Open this page within ten minutes, in the browser and on the device that shall have the passkey:")
    output.line(f"  {made['url']}")


def remove(context: Context) -> None:
    gone = context.api.delete(f"{PATH}/{escape(context.args['passkey'])}")
    output.line(f"Removed the passkey {gone['name']}")


def rename(context: Context) -> None:
    path = f"{PATH}/{escape(context.args['passkey'])}"
    renamed = context.api.patch(path, {"name": context.args["name"]})
    output.line(f"The passkey is named {renamed['name']} now")
