"""Completion: the scripts from the table, in the real shells; names of apps from a short cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import cli_double
import pytest
from cli_double import APP, Cli

from pogo.cli.commands import completion
from pogo.cli.shells import bash, fish, zsh
from pogo.cli.table import COMMANDS

cli = cli_double.cli
SCRIPTS = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}

ASK_BASH = """
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
[ "$3" ] && COMP_WORDBREAKS=${COMP_WORDBREAKS//:}
compopt() { echo "<files>"; }
_pogo
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_FISH = 'source $argv[1]; complete -C "$argv[2]"'
ASK_ZSH = """
compdef() { }
source "$1"
compadd() {
    while (($#)); do case $1 in (-d) shift 2 ;; (--) shift; break ;; (*) shift ;; esac; done
    print -l -- ${(M)@:#$PREFIX*}
}
_files() { print '<files>' }
compset() { PREFIX=${PREFIX#*=} }
words=(${=2})
[[ $2 == *' ' ]] && words+=('')
CURRENT=$#words PREFIX=$words[-1]
_pogo
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with a `pogo` that says what it was asked for, as two names."""
    program = tmp_path / "bin" / "pogo"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$2-one"; echo "$2-two"\n')
    program.chmod(0o755)
    return program.parent


def complete(shell: str, line: str, path: Path, *more: str) -> list[str]:
    """What a real shell offers at the end of a line."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = path / f"script.{shell}"
    script.write_text(SCRIPTS[shell]())
    plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    ask = {"bash": ASK_BASH, "zsh": ASK_ZSH, "fish": ASK_FISH}[shell]
    name = [] if shell == "fish" else ["ask"]
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "HOME": str(path)}
    command = [shell, *plain, "-c", ask, *name, str(script), line, *more]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [row.partition("\t")[0] for row in done.stdout.splitlines() if row]


CASES = [
    ("pogo maint", ["maintenance", "maintenance:off", "maintenance:on"]),
    ("pogo rollb", ["rollback"]),
    ("pogo maintenance:on --a", ["--app"]),
    ("pogo logs --ta", ["--tail"]),
    ("pogo ps -a ", ["app-one", "app-two"]),
    ("pogo ps --app app-t", ["app-two"]),
    ("pogo logs --remote ", ["remote-one", "remote-two"]),
    ("pogo apps:info app-o", ["app-one"]),
    ("pogo platform:use platform-t", ["platform-two"]),
    ("pogo help releases:ro", ["releases:rollback"]),
]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_completes(shell: str, path: Path) -> None:
    for line, expected in CASES:
        found = complete(shell, line, path, "no breaks at colons")
        assert sorted(found) == expected, line


def test_bash_breaks_words_at_colons(path: Path) -> None:
    """It keeps what stands before the last one; what is answered goes behind it."""
    assert complete("bash", "pogo maintenance:o", path, "") == ["off", "on"]
    assert complete("bash", "pogo auth:2fa:dis", path, "") == ["disable"]
    assert complete("bash", "pogo ps --app=app-", path, "") == ["app-one", "app-two"]
    assert complete("bash", "pogo ps --app=app-t", path, "") == ["app-two"]
    assert complete("bash", "pogo certs:add ", path, "") == ["<files>"]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_command_that_is_shown_is_completed(shell: str, cli: Cli) -> None:
    script = cli.run("autocomplete:script", shell).out
    for command in COMMANDS:
        for name in (command.id, *command.aliases):
            if not command.hidden:
                assert name in script


def test_names_of_apps_are_kept_for_a_short_time(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cli.answer("GET /apps", [{**APP, "name": "b"}, {**APP, "name": "a"}])
    cli.answer("GET /apps", [{**APP, "name": "c"}])
    cli.answer("GET /apps", {"id": "unauthorized", "message": "Invalid credentials provided."}, 401)
    assert cli.run("autocomplete:options", "app").out == "a\nb\n"
    assert cli.run("autocomplete:options", "app").out == "a\nb\n"
    assert cli.requests == []
    monkeypatch.setattr(completion, "FRESH", 0.0)
    assert cli.run("autocomplete:options", "app").out == "c\n"
    stale = cli.run("autocomplete:options", "app")
    assert (stale.status, stale.out, stale.err) == (0, "c\n", "")
    files = [file for file in tmp_path.rglob("*") if file.is_file() and "cache" in file.parts]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600]


def test_what_is_to_do_is_said_for_each_shell(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert "pogo autocomplete:script fish | source" in cli.run("autocomplete").out
    assert "source <(pogo autocomplete:script bash)" in cli.run("autocomplete", "bash").out
    other = cli.run("autocomplete", "tcsh")
    assert (other.status, "Name one: bash, zsh, fish" in other.err) == (2, True)
