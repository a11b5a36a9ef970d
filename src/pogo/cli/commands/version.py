"""version, help."""

from __future__ import annotations

import sys

from pogo import __version__
from pogo.cli import output
from pogo.cli.context import Context
from pogo.cli.errors import CliError


def show(context: Context) -> None:
    """The fast path of a bare `pogo version` is in `pogo.cli.main`."""
    python = sys.version.split()[0]
    if context.on("json"):
        output.json_text({"version": f"pogo/{__version__}", "architecture": sys.platform, "python": python})
        return
    output.line(f"pogo/{__version__} {sys.platform} python-{python}")
    if context.on("verbose"):
        output.line(f"{sys.executable} {sys.version}")


def help_(context: Context) -> None:
    from pogo.cli.help import show_all, show_command, show_topic
    from pogo.cli.table import by_name

    name = context.args.get("command")
    if not name:
        show_all(context.on("nested-commands"))
        return
    command = by_name().get(name)
    if command:
        show_command(command)
    elif not show_topic(name):
        raise CliError(f"{name} is not a pogo command.\nRun pogo help for a list of available commands.", 127)
