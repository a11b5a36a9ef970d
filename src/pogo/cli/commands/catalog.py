"""regions, usage:addons; commands, which: what there is, on the platform and in `pogo`."""

from __future__ import annotations

from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError
from pogo.cli.parser import Command


def regions(context: Context) -> None:
    found: list[dict[str, Any]] = context.api.get_all("/regions")
    if context.on("private") or context.on("common"):
        found = [one for one in found if bool(one["private_capable"]) == context.on("private")]
    found.sort(key=lambda one: (bool(one["private_capable"]), str(one["name"])))
    if context.on("json"):
        output.json_text(found)
        return
    kinds = {True: "Private Spaces", False: "Common Runtime"}
    rows = [[one["name"], one["description"], kinds[bool(one["private_capable"])]] for one in found]
    output.table(["ID", "Location", "Runtime"], rows)


def usage(context: Context) -> None:
    """Of add-ons. With a team, of each of its apps."""
    app, team = context.option("app"), context.option("team")
    if not app and not team:
        raise CliError("Specify an app with --app, or a team with --team", 2)
    if app:
        names = [app]
        path = f"/teams/{escape(team)}/apps/{escape(app)}/usage" if team else f"/apps/{escape(app)}/usage"
        addons = context.api.get(path)["addons"]
    else:
        apps = context.api.get_all(f"/teams/{escape(team or '')}/apps")
        names = [one["name"] for one in apps]
        addons = [one for name in names for one in context.api.get(f"/apps/{escape(name)}/usage")["addons"]]
    if not addons:
        output.line(f"No usage found for {'app ' + app if app else 'team ' + (team or '')}")
        return
    rows = [
        [addon["id"], meter, str(value["quantity"])] for addon in addons for meter, value in addon["meters"].items()
    ]
    output.table(["Add-on", "Meter", "Quantity"], rows)


def commands(context: Context) -> None:
    from pogo.cli.table import COMMANDS

    found = [one for one in COMMANDS if context.on("hidden") or not one.hidden]
    if context.on("json"):
        output.json_text([_described(one) for one in found])
        return
    output.table(["Id", "Summary"], [[one.id, one.help] for one in found])


def _described(command: Command) -> dict[str, Any]:
    return {
        "id": command.id,
        "summary": command.help,
        "aliases": list(command.aliases),
        "hidden": command.hidden,
        "strict": command.strict,
        "args": [one._asdict() for one in command.args],
        "flags": [one._asdict() for one in command.flags],
    }


def which(context: Context) -> None:
    from pogo.cli.table import by_name
    from pogo.cli.upstream import OUR_COMMANDS

    if not context.rest:
        raise CliError('"which" expects a command name.\nTry something like "pogo which your:command:here"', 2)
    name = ":".join(context.rest)
    command = by_name().get(name)
    if command is None:
        raise CliError(f"{name} is not a pogo command.\nRun pogo help for a list of available commands.", 127)
    kind = "of pogo alone" if command.id in OUR_COMMANDS else "as in the official client"
    if context.on("json"):
        output.json_text({"command": command.id, "kind": kind, "run": f"pogo.cli.commands.{command.run}"})
        return
    output.header(name)
    output.pairs({"command": command.id, "kind": kind, "run": f"pogo.cli.commands.{command.run}"})
