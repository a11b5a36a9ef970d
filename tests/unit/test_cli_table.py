"""The command table against the official client's surface (official_surface.json), and against itself."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from typing import Any

import cli_double
import pytest
from cli_double import Cli
from official_surface import SHORT

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table import COMMANDS, by_name
from pogo.cli.upstream import LEFT_OUT, OUR_COMMANDS, OUR_FLAGS, UNSUPPORTED, why_left_out

cli = cli_double.cli
OFFICIAL: dict[str, dict[str, Any]] = json.loads(SHORT.read_text())["commands"]
TOPICS = {command.id.partition(":")[0] for command in COMMANDS}


def short(command: Command) -> dict[str, Any]:
    """A command of ours in the form of official_surface.json, without what is ours alone."""
    found = {
        "args": [_arg(arg) for arg in command.args],
        "flags": sorted(_flag(flag) for flag in command.flags if (command.id, flag.name) not in OUR_FLAGS),
        "aliases": sorted(command.aliases),
        "loose": not command.strict,
        "hidden": command.hidden,
    }
    return {key: value for key, value in found.items() if value}


def _arg(arg: Arg) -> str:
    return arg.name + "!" * arg.required


def _flag(flag: Flag) -> str:
    return "/".join([flag.name, flag.char, *flag.also]).rstrip("/") + "=" * flag.option + "!" * flag.required


def name_of(flag: str) -> str:
    return flag.rstrip("=!").partition("/")[0]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)
def test_a_command_equals_the_official_one(command: Command) -> None:
    if command.id in OUR_COMMANDS:
        assert command.id not in OFFICIAL
        return
    theirs = dict(OFFICIAL[command.id])
    left_out = {flag for one, flag in UNSUPPORTED if one in ("*", command.id)}
    theirs["flags"] = sorted(flag for flag in theirs.get("flags", ()) if name_of(flag) not in left_out)
    assert short(command) == {key: value for key, value in theirs.items() if value}


def test_every_official_command_is_here_or_left_out_with_a_reason() -> None:
    here = {command.id for command in COMMANDS}
    missing = sorted(command for command in OFFICIAL if command not in here and not why_left_out(command))
    assert not missing, "Neither in the table nor in LEFT_OUT:\n" + "\n".join(missing)


def test_what_is_left_out_is_in_the_official_client_and_not_here() -> None:
    here = set(by_name())
    topics = {command.partition(":")[0] for command in OFFICIAL}
    for name in LEFT_OUT:
        assert name not in here
        assert name in OFFICIAL or name in topics
        assert ":" in name or name not in TOPICS, f"{name}: a topic of ours; name what of it is left out"
    for command, flag in UNSUPPORTED:
        if command != "*":
            assert flag in {name_of(one) for one in OFFICIAL[command]["flags"]}, f"{command} --{flag}"


def test_a_command_that_is_left_out_says_why(cli: Cli) -> None:
    result = cli.run("pg:psql", "-a", "myapp")
    assert (result.status, result.err) == (127, " ▸    pg:psql is not in pogo: add-ons come later.\n")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)
def test_every_command_has_its_function(command: Command) -> None:
    module, _, function = command.run.partition(":")
    run = getattr(import_module(f"pogo.cli.commands.{module}"), function)
    assert list(inspect.signature(run).parameters) == ["context"]


def test_no_name_is_used_twice() -> None:
    names = [name for command in COMMANDS for name in (command.id, *command.aliases)]
    assert len(names) == len(set(names)) == len(by_name())
    assert [command.id for command in COMMANDS] == sorted(command.id for command in COMMANDS)
