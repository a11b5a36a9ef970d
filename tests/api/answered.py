"""Operations of Heroku's schema that some test got an answer from: 2xx, and right by the schema.

Counted over a whole run of tests/api, in however many processes. answered.txt is the list that docs/compatibility.md
shows; a run that does not answer all of it fails. POGO_TEST_RECORD=1 writes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import audited
import pytest

FILE = Path(__file__).with_name("answered.txt")
SEEN = pytest.StashKey[set[str]]()
FILES = pytest.StashKey[set[str]]()
KEYS = {"heroku_operations": SEEN, "audited_operations": audited.SEEN}


def proven() -> set[str]:
    return set(FILE.read_text().splitlines())


class Recorder:
    """A plugin of pytest: of a worker of xdist, of its controller, or of the one process there is."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.unproven: list[str] = []
        config.stash[SEEN], config.stash[FILES], config.stash[audited.SEEN] = set(), set(), set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.config.stash[FILES].add(Path(report.nodeid.partition("::")[0]).name)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for name, key in KEYS.items():
            self.config.stash[key].update(getattr(node, "workeroutput", {}).get(name, []))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        seen = self.config.stash[SEEN]
        output: Any = getattr(self.config, "workeroutput", None)
        if output is not None:
            output.update({name: sorted(self.config.stash[key]) for name, key in KEYS.items()})
        elif seen and self._whole(session):
            if os.environ.get("POGO_TEST_RECORD"):
                FILE.write_text("".join(f"{one}\n" for one in sorted(seen)))
            self._require(proven() - seen, f"Not answered any more, though {FILE.name} says so")
            silent = audited.changing() - self.config.stash[audited.SEEN] - audited.SILENT.keys()
            self._require(silent, "No test has seen a record of who did these (audited.py)")
            if self.unproven:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _require(self, missing: set[str], what: str) -> None:
        if missing:
            self.unproven.append(f"{what}: {', '.join(sorted(missing))}")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in self.unproven:
            terminalreporter.write_line(f"FAILED {line}", red=True)

    def _whole(self, session: pytest.Session) -> bool:
        """Whether all tests of the API were run, and none failed, which tells more."""
        chosen = self.config.getoption("keyword") or self.config.getoption("deselect")
        here = {file.name for file in FILE.parent.glob("test_*.py")}
        return not chosen and not session.testsfailed and here <= self.config.stash[FILES]
