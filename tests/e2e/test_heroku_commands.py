"""The official CLI, command by command, against real state: heroku_commands.py says what has to come of each."""

from __future__ import annotations

import json
import re
import ssl
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from heroku_commands import ALIASES, Chapter, Page, Step, Truth
from heroku_compatibility import CHAPTERS, verdicts
from installation import Installation
from small_apps import small
from test_heroku_cli import Heroku, program

__all__ = ["program"]  # a fixture
AT_ONCE = 4
PATIENCE = 40  # seconds until an effect has to be seen
PROCFILE = """web: python3 server.py
worker: python3 -c 'import time; time.sleep(9999)'
release: echo released
rake: echo rake here
console: echo console here
"""


class Stage:
    """Where a chapter plays: a home, and what its steps have found."""

    def __init__(self, heroku: Heroku, chapter: Chapter) -> None:
        self.heroku, self.platform, self.chapter = heroku, heroku.platform, chapter
        self.found = {"app": chapter.app}
        self.home = self.platform.home / f"chapter-{chapter.app}"
        self.home.mkdir()
        config = (self.platform.home / ".gitconfig").read_text()
        (self.home / ".gitconfig").write_text(config)
        self.environment = {**heroku.environment, "HOME": str(self.home)}
        self.work = self.home
        if chapter.source:
            self.work = self.home / "source"
            self.work.mkdir()
            for name, text in small(Procfile=PROCFILE).items():
                (self.work / name).write_text(text)
            self.run("git init --quiet && git add --all && git commit --quiet --message one")
        self.trust = ssl.create_default_context(cafile=heroku.environment["NODE_EXTRA_CA_CERTS"])

    def run(self, line: str) -> tuple[int, str]:
        done = self.platform.call("bash", "-c", line, cwd=self.work, env=self.environment, timeout=200)
        return done.returncode, done.stdout

    def get(self, path: str) -> Any:
        """None: there is nothing."""
        headers = {
            "Authorization": f"Bearer {self.environment['HEROKU_API_KEY']}",
            "Accept": "application/vnd.heroku+json; version=3",
        }
        request = urllib.request.Request(self.environment["HEROKU_HOST"] + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.trust) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as failure:
            if failure.code == 404:
                return None
            raise

    def holds(self, then: Truth | Page) -> bool:
        if isinstance(then, Page):
            return self.platform.get(self.fill(then.app), then.path).body.endswith(then.text)
        found = self.get(self.fill(then.path))
        rows = found if isinstance(found, list) else [] if found is None else [found]
        wanted = {key: self.fill(value) if isinstance(value, str) else value for key, value in then.values.items()}
        return any(all(_at(row, key) == value for key, value in wanted.items()) for row in rows) == then.there

    def fill(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: self.found.get(match[1], match[0]), text).replace("{{}}", "{}")

    def play(self, step: Step) -> str:
        """What is wrong with the step; empty when nothing is."""
        line = self.fill(step.line).replace("{{", "{").replace("}}", "}")
        status, output = self.run(line.removeprefix("$ ") if line.startswith("$ ") else f"heroku {line}")
        wrong = [] if status == step.status else [f"ended with {status}"]
        wrong += [f"does not say {says}" for says in map(self.fill, step.says) if not re.search(says, output, re.M)]
        for name, pattern in step.keep.items():
            match = re.search(pattern, output, re.M)
            self.found[name] = match[1] if match else f"no-{name}"
            wrong += [] if match else [f"does not show {name}"]
        if not wrong and step.then and not self.sees(step.then):
            wrong = [f"does not lead to {step.then}"]
        return f"{line}: {', '.join(wrong)}:\n{output}" if wrong else ""

    def sees(self, then: Truth | Page) -> bool:
        until = time.monotonic() + PATIENCE
        while not self.holds(then):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True


def _at(row: Any, key: str) -> Any:
    for name in key.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


@pytest.fixture(scope="module")
def played(platform: Installation, program: Path) -> dict[str, list[str]]:
    """What went wrong in each chapter. The client takes a second of a processor for a call, so they go on together."""
    url = re.findall(r"^https?://\S+", platform.pogo("admin:invite", "kim@example.com"), re.M)[0]
    home = platform.home / "kim"
    home.mkdir()
    platform.run("pogo", "auth:join", url, input="Kim\nbattery staple\nbattery staple\n", env={"HOME": str(home)})
    heroku = Heroku(platform, program, platform.home)

    def play(chapter: Chapter) -> list[str]:
        stage = Stage(heroku, chapter)
        return [wrong for wrong in map(stage.play, chapter.steps) if wrong]

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = dict(zip((chapter.app for chapter in CHAPTERS), threads.map(play, CHAPTERS), strict=True))
    platform.pogo("admin:users:remove", "kim@example.com")
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("app", [chapter.app for chapter in CHAPTERS])
def test_a_chapter(played: dict[str, list[str]], app: str) -> None:
    assert not played[app], "\n".join(played[app])


def test_no_command_is_forgotten(program: Path) -> None:
    """Each of the client's own has a verdict; the aliases that are tried are aliases."""
    manifest = json.loads((program.parents[1] / "heroku" / "oclif.manifest.json").read_text())["commands"]
    assert manifest.keys() - verdicts().keys() == set()
    for alias, command in ALIASES.items():
        assert alias in {*manifest[command].get("aliases", []), *manifest[command].get("hiddenAliases", [])}, alias
