"""What a command function gets: its parsed command line; the platform, the API and the app, found when asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pogo.cli import output, platforms
from pogo.cli.parser import Command, Parsed
from pogo.cli.platforms import Platform

if TYPE_CHECKING:
    from pogo.cli.client import Api


class Context:
    def __init__(self, command: Command, parsed: Parsed) -> None:
        self.command = command
        self.args = parsed.args
        self.rest = parsed.rest
        self.flags = parsed.flags

    def option(self, name: str) -> str | None:
        """The value of an option, None where it was not given."""
        value = self.flags.get(name)
        return value if isinstance(value, str) else None

    def on(self, name: str) -> bool:
        """Whether a switch was given."""
        return bool(self.flags.get(name))

    @cached_property
    def platform(self) -> Platform:
        return platforms.find()

    @cached_property
    def api(self) -> Api:
        from pogo.cli.client import Api

        return Api(self.platform)

    @cached_property
    def app(self) -> str:
        """The app that the command is about. Raises CliError when nothing names one, or several."""
        from pogo.cli.repository import choose_app

        return choose_app(self.platform, self.option("app"), self.option("remote"))

    @cached_property
    def app_path(self) -> str:
        from pogo.cli.client import escape

        return f"/apps/{escape(self.app)}"

    @property
    def shown_app(self) -> str:
        """The app's name as progress lines show it."""
        import sys

        return output.app_name(self.app, sys.stderr)
