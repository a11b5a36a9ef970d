"""Completion scripts, a module per shell, from the command table; and what they share: which words come where."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pogo.cli.parser import Command, Flag
from pogo.cli.table import COMMANDS

#: Flags whose value `pogo autocomplete:options` knows, and arguments of commands.
OF_FLAG = {"app": "app", "remote": "remote"}
OF_ARGUMENT = {"platform:use": "platform", "platform:remove": "platform"}
CREATES = ("apps:create", "git:remote")


def shown() -> list[Command]:
    return [command for command in COMMANDS if not command.hidden]


def names(command: Command) -> tuple[str, ...]:
    return (command.id, *command.aliases)


def flags(command: Command) -> list[Flag]:
    return [flag for flag in command.flags if not flag.hidden]


def words(flag: Flag) -> Iterator[str]:
    yield f"--{flag.name}"
    if flag.char:
        yield f"-{flag.char}"


def value(command: Command, flag: Flag) -> str:
    """What the value of a flag is completed with: a kind of `autocomplete:options`, else empty."""
    if command.id == "apps:create" or (command.id == "git:remote" and flag.name == "remote"):
        return ""
    return OF_FLAG.get(flag.name, "")


def argument(command: Command) -> str:
    """The same of a command's first argument."""
    if command.id in OF_ARGUMENT:
        return OF_ARGUMENT[command.id]
    named_so = bool(command.args) and command.args[0].name in ("app", "app1")
    return "app" if named_so and command.id not in CREATES else ""


def quoted(text: str) -> str:
    return shlex.quote(text)
