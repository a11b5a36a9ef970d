"""The command table against the official client's surface, where that file is present, and against itself."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path

import pytest

from pogo.cli.table import COMMANDS, by_name
from pogo.cli.upstream import OUR_COMMANDS, OUR_FLAGS, UNSUPPORTED

SURFACE = Path(__file__).parents[2].parent / "shared/heroku/cli-commands.json"


@pytest.fixture(scope="module")
def official() -> dict[str, dict]:
    if not SURFACE.exists():
        pytest.skip(f"{SURFACE} is not here")
    return {command["id"]: command for command in json.loads(SURFACE.read_text())["commands"]}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)
def test_a_command_equals_the_official_one(official: dict[str, dict], command) -> None:
    if command.id in OUR_COMMANDS:
        assert command.id not in official
        return
    theirs = official[command.id]
    left_out = {flag for one, flag in UNSUPPORTED if one in ("*", command.id)}
    expected = {
        flag["name"]: (flag.get("char", ""), flag["type"], flag["required"], tuple(flag.get("aliases", ())))
        for flag in theirs["flags"]
        if flag["name"] not in left_out
    }
    ours = {
        flag.name: (flag.char, "option" if flag.option else "boolean", flag.required, flag.also)
        for flag in command.flags
        if (command.id, flag.name) not in OUR_FLAGS
    }
    assert ours == expected
    assert [(arg.name, arg.required) for arg in command.args] == [(a["name"], a["required"]) for a in theirs["args"]]
    assert set(command.aliases) == {*theirs.get("aliases", ()), *theirs.get("hidden_aliases", ())}
    assert command.strict == theirs["strict"]
    assert command.hidden == theirs.get("hidden", False)


def test_what_is_left_out_exists_in_the_official_client(official: dict[str, dict]) -> None:
    for command, flag in UNSUPPORTED:
        if command != "*":
            assert flag in {one["name"] for one in official[command]["flags"]}, f"{command} --{flag}"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.id)
def test_every_command_has_its_function(command) -> None:
    module, _, function = command.run.partition(":")
    run = getattr(import_module(f"pogo.cli.commands.{module}"), function)
    assert list(inspect.signature(run).parameters) == ["context"]


def test_no_name_is_used_twice() -> None:
    names = [name for command in COMMANDS for name in (command.id, *command.aliases)]
    assert len(names) == len(set(names)) == len(by_name())
    assert [command.id for command in COMMANDS] == sorted(command.id for command in COMMANDS)
