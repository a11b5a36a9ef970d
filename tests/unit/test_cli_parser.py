"""The official client's rules of a command line; help; how commands end; what `version` costs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import cli_double
import pytest
from cli_double import Cli

from pogo.cli import output
from pogo.cli.errors import UsageError
from pogo.cli.parser import Parsed, parse
from pogo.cli.table import by_name

cli = cli_double.cli
ROOT = Path(__file__).parents[2]


def parsed(line: str) -> Parsed:
    name, *words = line.split()
    return parse(by_name()[name], words)


@pytest.mark.parametrize(
    ("line", "rest", "flags"),
    [
        ("run ls -la", ["ls", "-la"], {}),
        ("run -a x ls -la --all", ["ls", "-la", "--all"], {"app": "x"}),
        ("run bash -c id -a x", ["bash", "-c", "id"], {"app": "x"}),
        ("run -ax -x -- ls -a y", ["ls", "-a", "y"], {"app": "x", "exit-code": True}),
        ("run --app=x --env=A=1 -", ["-"], {"app": "x", "env": "A=1"}),
        ("config:set A=-1 -a=x", ["A=-1"], {"app": "x"}),
        ("logs -tn5 -a x", [], {"tail": True, "num": "5", "app": "x"}),
        ("logs --dyno web.1", [], {"dyno-name": "web.1"}),
        ("logs -a x -a y", [], {"app": "y"}),
    ],
)
def test_command_lines(line: str, rest: list[str], flags: dict[str, object]) -> None:
    found = parsed(line)
    assert (found.rest, found.flags) == (rest, flags)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("apps --nope", "Nonexistent flag: --nope"),
        ("apps -z", "Nonexistent flag: -z"),
        ("apps --space x", "Flag --space is not supported: there are no private spaces here"),
        ("apps --json=yes", "Flag --json takes no value"),
        ("apps x y", "Unexpected arguments: x, y"),
        ("logs -n", "Flag --num expects a value"),
        ("logs -n five", "Flag --num expected an integer but received: five"),
        ("logs -d web.1 -p web", "--dyno-name cannot also be provided when using --process-type"),
        ("rename", "Missing 1 required arg:\n  newname"),
    ],
)
def test_command_lines_that_are_refused(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(line)
    assert caught.value.message == f"{message}\nSee more help with --help"
    assert caught.value.exit_status == 2


def test_help(cli: Cli) -> None:
    assert "apps:create" in cli.run("help", "-n").out
    assert cli.run().out == cli.run("--help").out == cli.run("help").out
    shown = cli.run("create", "--help").out
    assert "$ pogo apps:create [APP] [flags]" in shown
    assert "-b, --buildpack=<value>" in shown
    assert "auth:login" in cli.run("auth").out
    assert cli.run("help", "domains:add").out == cli.run("domains:add", "-h").out
    assert cli.run("help", "nope").status == 127


def test_a_command_that_does_not_exist(cli: Cli) -> None:
    result = cli.run("confg")
    assert result.status == 127
    assert "confg is not a pogo command.\n ▸    Did you mean config?" in result.err


def test_times_and_sizes() -> None:
    stamp = "2026-11-23T12:00:00Z"
    at = output.seconds(stamp)
    ends = ["(~ just now)", "(~ 59s ago)", "(~ 2m ago)", "(~ 1h ago)", "(~ 6d ago)"]
    for since, end in zip((0, 59, 150, 3600, 6 * 86400), ends, strict=True):
        assert output.ago(stamp, at + since).endswith(end)
    assert output.ago(stamp, at + 30 * 86400) == time.strftime("%Y/%m/%d %H:%M:%S %z", time.localtime(at))
    assert [output.byte_size(n) for n in (None, 1023, 2048, 5 << 20, 3 << 30)] == [
        "0 B",
        "1023 B",
        "2 KB",
        "5 MB",
        "3 GB",
    ]


def test_colours_only_where_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.paint("x", "bold red", Terminal()) == "\033[1;31mx\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.paint("x", "red", Terminal()) == "x"


def test_a_reader_that_has_enough_is_no_error() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m pogo.cli.main help -n | head -1"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_a_terminal_without_the_sign() -> None:
    code = (
        "from pogo.cli.main import main; from pogo.cli import output; main(['version', '--json']); output.line('⬢ x')"
    )
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.endswith("? x\n")


def test_version_is_cheap() -> None:
    """The aim is 50 ms of CPU; half of twenty runs have to keep it, whatever else the machine does."""
    runs = []
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([ROOT / "bin/pogo", "version"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        runs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert sorted(runs)[10] < 0.050


def test_commands_import_nothing_heavy(cli: Cli) -> None:
    cli.answer("GET /account", {"email": "me@example.com"})
    code = (
        "import sys\nfrom pogo.cli.main import main\nmain(['whoami'])\n"
        "heavy = {'asyncio', 'click', 'httpx2', 'inspect', 'pydantic', 'rich', 'subprocess'} & set(sys.modules)\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    modules = [f"pogo.cli.{file.stem}" for file in (ROOT / "src/pogo/cli").glob("*.py")]
    modules += [f"pogo.cli.commands.{file.stem}" for file in (ROOT / "src/pogo/cli/commands").glob("*.py")]
    all_of_it = (
        f"import sys, {', '.join(name for name in modules if '__init__' not in name)}\n"
        "heavy = {'asyncio', 'click', 'httpx2', 'pydantic', 'rich'} & set(sys.modules)\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "me@example.com\n", "")
    assert subprocess.run([sys.executable, "-c", all_of_it], check=False).returncode == 0
