"""run, run:detached: one-off dynos."""

from __future__ import annotations

import os
import sys
from typing import Any

from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.errors import ApiError, CliError

TRIES = 3


def command_line(words: list[str]) -> str:
    """One word is a shell line as it is; of several, those with spaces or quotes are quoted (as officially).

    Variables stay unquoted: `pogo run echo '$PORT'` prints the dyno's own.
    """
    if len(words) == 1:
        return words[0]
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if word and not any(character.isspace() or character == '"' for character in word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def environment(pairs: str) -> dict[str, str]:
    """`A=1;B=2` of --env. Raises CliError."""
    found = {}
    for pair in filter(None, pairs.split(";")):
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise CliError(f"{pair} is invalid. --env must be in the format 'A=1;B=2'.")
        found[key] = value
    return found


def _create(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """The new dyno. A conflict with another change is tried again, twice."""
    for last in [False] * (TRIES - 1) + [True]:
        try:
            dyno: dict[str, Any] = context.api.post(f"{context.app_path}/dynos", body)
            return dyno
        except ApiError as failure:
            if failure.status != 409 or last:
                raise
    raise AssertionError("unreachable")


def terminal_variables() -> dict[str, str]:
    """What a program in the dyno has to know of the terminal here."""
    env = {"TERM": os.environ["TERM"]} if os.environ.get("TERM") else {}
    if sys.stdout.isatty():
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        env |= {"COLUMNS": str(columns), "LINES": str(lines)}
    return env


def _body(context: Context, usage: str) -> dict[str, Any]:
    if not context.rest:
        raise CliError(f"Usage: pogo {usage} COMMAND\n\nExample: pogo {usage} bash")
    body = {
        "command": command_line(context.rest),
        "env": terminal_variables() | environment(context.option("env") or ""),
        "size": context.option("size"),
        "type": context.option("type"),
    }
    return {key: value for key, value in body.items() if value is not None}


def _text(context: Context, body: dict[str, Any]) -> str:
    return f"Running {output.paint(body['command'], 'cyan', sys.stderr)} on {context.shown_app}"


def attach(context: Context) -> int:
    """Run a command here and return its exit status. It gets a terminal where both our ends are one."""
    from pogo.cli.attach import connect, join

    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not context.on("no-tty")
    body = _body(context, "run") | {"attach": True} | ({} if terminal else {"force_no_tty": True})
    with output.Action(_text(context, body)) as action:
        dyno = _create(context, body)
        connection, received = connect(context.platform, dyno["attach_url"])
        action.done = f"up, {dyno['name']}"
    return join(connection, received, terminal)


def console(context: Context) -> int:
    """As `run console`: what the app calls by that name."""
    context.rest[:] = ["console"]
    return attach(context)


def rake(context: Context) -> int:
    context.rest.insert(0, "rake")
    return attach(context)


def detach(context: Context) -> None:
    body = _body(context, "run:detached") | {"attach": False}
    with output.Action(_text(context, body)) as action:
        dyno = _create(context, body)
        action.done = f"done, {dyno['name']}"
    if not context.on("tail"):
        line = f"pogo logs --app {context.app} --dyno {dyno['name']}"
        output.line(f"Run {output.paint(line, 'cyan')} to view the output.")
        return
    from pogo.cli.commands.logs import Colour, follow

    colour = Colour(output.colours(sys.stdout))
    follow(context.api, context.app_path, {"dyno": dyno["name"], "tail": True}, colour)
