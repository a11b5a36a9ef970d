"""docs/compatibility.md says what the tests do."""

from __future__ import annotations

from pathlib import Path

from answered import proven
from heroku_commands import ALIASES
from heroku_commands_cannot import CANNOT, ELSEWHERE
from heroku_compatibility import ANSWERED, CHAPTERS, DOCUMENT, cannot, compared, document, recorded, verdicts

E2E = Path(__file__).parents[1] / "e2e"


def test_the_document_is_up_to_date() -> None:
    """If it is not, run tests/e2e/heroku_compatibility.py as it says."""
    assert compared() in (None, recorded())
    assert DOCUMENT.read_text() == document(recorded())


def test_one_verdict_for_each_command() -> None:
    assert len(cannot()) == sum(len(commands.split()) for commands in CANNOT.values())
    assert not cannot().keys() & ELSEWHERE.keys()
    assert sum(verdict != "cannot" for verdict, _ in verdicts().values()) >= 150
    assert len({chapter.app for chapter in CHAPTERS}) == len(CHAPTERS)


def test_the_aliases_are_tried() -> None:
    words = {step.line.removeprefix("$ ").split()[0] for chapter in CHAPTERS for step in chapter.steps}
    assert ALIASES.keys() - words == {"login", "logout"}, "those two are in test_heroku_accounts.py"


def test_most_operations_are_answered() -> None:
    operations = recorded() or {}
    assert sum(state == ANSWERED for state in operations.values()) >= 150
    assert {key for key, state in operations.items() if state == ANSWERED} == proven()


def test_other_tests_are_there() -> None:
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"\ndef {name}(" in (E2E / file).read_text(), place
