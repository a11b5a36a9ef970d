"""checks, checks:set, checks:unset: when a web dyno is ready, and whether it still answers."""

from __future__ import annotations

import sys
from typing import Any

from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.errors import CliError

#: Word on the command line → field of the API, kind of its value.
FIELDS: dict[str, tuple[str, type]] = {
    "ready": ("ready_path", str),
    "live": ("live_path", str),
    "period": ("live_period", float),
    "timeout": ("live_timeout", float),
    "failures": ("live_failures", int),
}


def show(context: Context) -> None:
    found: dict[str, Any] = context.api.get(f"{context.app_path}/checks")
    if context.on("json"):
        output.json_text(found)
        return
    output.header(f"{output.app_name(context.app)} Checks")
    _print(found)


def _print(found: dict[str, Any]) -> None:
    ready, live = found["ready_path"], found["live_path"]
    how = (
        f"GET {live} every {found['live_period']:g} s, answered within {found['live_timeout']:g} s; "
        f"replaced after {found['live_failures']} failures in a row"
    )
    ready = f"GET {ready} is answered by 2xx or 3xx" if ready else "the port answers"
    output.pairs({"Ready": f"when {ready}", "Live": how if live else "not checked"}, ["Ready", "Live"])


def assign(context: Context) -> None:
    if not context.rest:
        raise CliError(f"Usage: pogo checks:set ready=/health live=/health. Settings: {', '.join(FIELDS)}")
    changes = {}
    for word in context.rest:
        name, equals, value = word.partition("=")
        if not equals:
            raise CliError(f"{word} is invalid. Must be in the format ready=/health.")
        field, kind = _field(name)
        try:
            changes[field] = kind(value)
        except ValueError:
            raise CliError(f"{name} must be a number, not {value}.") from None
    _change(context, changes, "Setting")


def unset(context: Context) -> None:
    if not context.rest:
        raise CliError(f"Usage: pogo checks:unset live. Settings: {', '.join(FIELDS)}")
    _change(context, {_field(name)[0]: None for name in context.rest}, "Unsetting")


def _field(name: str) -> tuple[str, type]:
    if name not in FIELDS:
        raise CliError(f"There is no check setting {name}. Settings: {', '.join(FIELDS)}")
    return FIELDS[name]


def _change(context: Context, changes: dict[str, Any], doing: str) -> None:
    names = ", ".join(
        output.paint(name, "green", sys.stderr) for name, (field, _) in FIELDS.items() if field in changes
    )
    with output.Action(f"{doing} {names} of {context.shown_app}"):
        found = context.api.patch(f"{context.app_path}/checks", changes)
    _print(found)
