"""Makes docs/compatibility.md of what the tests do: after a change of the table run
`PYTHONPATH=tests/e2e:tests/api python tests/e2e/heroku_compatibility.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from answered import proven
from heroku_commands import ALIASES, Chapter
from heroku_commands_apps import APPS, CONFIG, DOMAINS, WEBHOOKS
from heroku_commands_cannot import CANNOT, ELSEWHERE
from heroku_commands_code import DYNOS, PIPELINES
from heroku_commands_people import ACCOUNT, LOCAL, NOTHING, TEAMS
from heroku_schema import load
from operations import OF_AN_APP, OTHERS
from schema_operations import NOTHING_THERE
from schema_operations import operations as schema_operations

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/compatibility.md"
OPERATIONS = ROOT / "tests/api/heroku_operations.json"
CLI = "11.10.0"
ANSWERED, ROUTED, NO_SUCH = "answered", "routed", "answered: there is no such thing"
#: The longest first.
CHAPTERS: tuple[Chapter, ...] = (PIPELINES, DYNOS, APPS, DOMAINS, ACCOUNT, LOCAL, CONFIG, TEAMS, NOTHING, WEBHOOKS)


def cannot() -> dict[str, str]:
    """command: reason"""
    return {command: reason for reason, commands in CANNOT.items() for command in commands.split()}


def verdicts() -> dict[str, tuple[str, str]]:
    """command: (works, partly or cannot; why)"""
    found = {command: ("cannot", reason) for command, reason in cannot().items()}
    for step in (step for chapter in CHAPTERS for step in chapter.steps):
        command = step.command
        if command and command not in cannot() and (step.partly or command not in found):
            found[command] = ("partly", step.partly) if step.partly else ("works", "")
    for command in ELSEWHERE:
        found.setdefault(command, ("works", ""))
    return dict(sorted(found.items()))


def document(operations: Mapping[str, str] | None = None) -> str:
    """operations: `GET /apps/{app}`: what of it, for Heroku's schema; None: their table is left out."""
    return "\n".join([*_head(), *_commands(), *(_operations(operations) if operations else [])]) + "\n"


def _head() -> Iterator[str]:
    yield "# What works of Heroku's"
    yield ""
    yield "Made by tests/e2e/heroku_compatibility.py from what the tests do; it is not edited by hand."


def _commands() -> Iterator[str]:
    found = verdicts()
    count = {verdict: sum(one == verdict for one, _ in found.values()) for verdict in ("works", "partly", "cannot")}
    yield from ("", f"## 1. Commands of the official CLI (npm heroku {CLI}, unmodified)", "")
    yield f"Of {len(found)} commands {count['works']} work, {count['partly']} work partly, {count['cannot']} cannot;"
    yield f"besides them {len(ALIASES)} aliases are tried: {', '.join(f'`{alias}`' for alias in sorted(ALIASES))}."
    yield ""
    yield "Each that works is run by tests/e2e/test_heroku_commands.py against a real platform, with its exit status,"
    yield "the lines that matter and its effect; or by the test that is named."
    yield from ("", "| command | here | why, or where it is tried |", "|---|---|---|")
    for command, (verdict, why) in found.items():
        if verdict != "cannot":
            where = f"`{ELSEWHERE[command]}`" if command in ELSEWHERE else ""
            yield f"| `{command}` | {verdict} | {why or where} |"
    yield from ("", "### Those that cannot", "")
    for reason, commands in CANNOT.items():
        names = ", ".join(f"`{name}`" for name in sorted(commands.split()))
        yield f"* {reason} {names}"


def _operations(operations: Mapping[str, str]) -> Iterator[str]:
    count = {state: sum(what == state for what in operations.values()) for state in (ANSWERED, ROUTED, NO_SUCH)}
    yield from ("", "## 2. Operations of Heroku's Platform API", "")
    yield f"Of {len(operations)} operations {count[ANSWERED]} are answered: a test of tests/api gets a 2xx that is"
    yield f"right by Heroku's schema. {count[NO_SUCH]} more say in a test that there is no such thing, as add-ons;"
    yield f"{count[ROUTED]} are routed and not proven. Lists of add-ons, telemetry and test runs are empty."
    yield from ("", "| operation | here |", "|---|---|")
    for operation, what in sorted(operations.items()):
        yield f"| `{operation}` | {what} |"


def compared() -> dict[str, str] | None:
    """What becomes of each operation of Heroku's schema; None where the schema is not on this machine."""
    schema = load()
    if not schema.present:
        return None
    states = dict.fromkeys(NOTHING_THERE, NO_SUCH) | dict.fromkeys(proven(), ANSWERED)
    ours = {key.replace(" ", " /apps/{app}", 1) for key in OF_AN_APP} | OTHERS.keys()
    return {
        key: f"absent: {one.reason}" if one.reason else states.get(key, ROUTED)
        for one in schema_operations(schema.document, ours)
        for key in [f"{one.method} {one.href}"]
    }


def recorded() -> Mapping[str, str] | None:
    return json.loads(OPERATIONS.read_text()) if OPERATIONS.exists() else None


if __name__ == "__main__":
    if (found := compared()) is not None:
        OPERATIONS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    DOCUMENT.write_text(document(recorded()))
