"""features, features:enable|disable|info, and the same for `labs`: what an app can switch on."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.client import escape
from pogo.cli.context import Context
from pogo.cli.errors import CliError

GENERAL = "general"


def show(context: Context) -> None:
    _list(context, general=True)


def labs(context: Context) -> None:
    _list(context, general=False)


def _list(context: Context, *, general: bool) -> None:
    found: list[dict[str, Any]] = context.api.get_all(f"{context.app_path}/features")
    found = sorted((one for one in found if (one["state"] == GENERAL) == general), key=lambda one: str(one["name"]))
    if context.on("json"):
        output.json_text(found)
        return
    output.header(f"App Features {output.app_name(context.app)}")
    longest = max((len(one["name"]) for one in found), default=0)
    for one in found:
        name = f"{'[+]' if one['enabled'] else '[ ]'} {one['name']:<{longest}}"
        output.line(f"{output.paint(name, 'green') if one['enabled'] else name}  {one['description']}")


def _get(context: Context) -> dict[str, Any]:
    feature: dict[str, Any] = context.api.get(f"{context.app_path}/features/{escape(context.args['feature'])}")
    return feature


def info(context: Context) -> None:
    feature = _get(context)
    if context.on("json"):
        output.json_text(feature)
        return
    output.header(feature["name"])
    output.pairs({"Description": feature["description"], "Enabled": str(feature["enabled"]).lower()})


def enable(context: Context) -> None:
    _switch(context, on=True)


def disable(context: Context) -> None:
    _switch(context, on=False)


def _switch(context: Context, *, on: bool) -> None:
    name = context.args["feature"]
    doing, done = ("Enabling", "enabled") if on else ("Disabling", "disabled")
    with output.Action(f"{doing} {output.paint(name, 'green', sys.stderr)} for {context.shown_app}"):
        if _get(context)["enabled"] == on:
            raise CliError(f"{name} is already {done}.", 1)
        context.api.patch(f"{context.app_path}/features/{escape(name)}", {"enabled": on})
