"""People who work on an app while it is shaken. What the platform acknowledged is kept, to be compared afterwards."""

from __future__ import annotations

import http.client
import random
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installation import Installation
from wreckage import ask, request

# What an API that is away answers, or one whose database or store is.
AWAY = (0, 502, 503, 504)


@dataclass
class Ledger:
    """What may be true of the app: one value where its last change was acknowledged, else the one before as well.

    runs: words that one-off dynos print, and whether the dyno was acknowledged. commits: likewise, of pushes.
    """

    config: dict[str, set[str | None]] = field(default_factory=dict)
    quantity: set[int] = field(default_factory=lambda: {1})
    domains: dict[str, set[bool]] = field(default_factory=dict)
    people: dict[str, set[bool]] = field(default_factory=dict)
    runs: dict[str, bool] = field(default_factory=dict)
    commits: list[tuple[str, bool]] = field(default_factory=list)


class Person(threading.Thread):
    """Does one thing after the other, until `stop`. refused: answers that no kill explains."""

    def __init__(self, platform: Installation, app: str, chance: random.Random, ledger: Ledger, tag: str) -> None:
        super().__init__()
        self.platform = platform
        self.app = app
        self.chance = chance
        self.ledger = ledger
        self.tag = tag
        self.stop = threading.Event()
        self.done = 0
        self.refused: list[str] = []

    @property
    def actions(self) -> list[Callable[[], None]]:
        raise NotImplementedError

    def run(self) -> None:
        while not self.stop.is_set():
            self.chance.choice(self.actions)()
            self.stop.wait(self.chance.uniform(0, 0.8))

    def ask(self, method: str, path: str, body: object = None, *, gone: bool = False) -> bool:
        """Whether it was acknowledged. gone: that it is not there is as good."""
        try:
            answer = request(self.platform, method, f"/apps/{self.app}{path}", body)
        except (OSError, http.client.HTTPException):
            return False
        if answer.status < 300 or (gone and answer.status == 404):
            self.done += 1
            return True
        if answer.status not in AWAY:
            self.refused.append(f"{method} {path}: {answer.status} {answer.body[:300]}")
        return False


class Settler(Person):
    """Changes config, scale, domains and collaborators, restarts and rolls back."""

    def __init__(self, *given: Any, colleagues: list[str]) -> None:
        super().__init__(*given)
        self.colleagues = colleagues

    @property
    def actions(self) -> list[Callable[[], None]]:
        return [self._config, self._config, self._scale, self._scale, self._domain, self._colleague, self._rollback,
                self._restart]  # fmt: skip

    def _config(self) -> None:
        name = f"KEY{self.chance.randrange(4)}"
        value = None if self.chance.random() < 0.2 else f"{self.tag}-{self.chance.randrange(1 << 30)}"
        before = self.ledger.config.get(name, {None})
        self.ledger.config[name] = before | {value}
        if self.ask("PATCH", "/config-vars", {name: value}):
            self.ledger.config[name] = {value}

    def _scale(self) -> None:
        quantity = self.chance.randint(2, 3)
        self.ledger.quantity |= {quantity}
        if self.ask("PATCH", "/formation/web", {"quantity": quantity}):
            self.ledger.quantity = {quantity}

    def _domain(self) -> None:
        name = f"d{self.chance.randrange(4)}.{self.app}.example"
        wanted = self._turn(self.ledger.domains, name)
        if wanted:
            done = self.ask("POST", "/domains", {"hostname": name, "sni_endpoint": None})
        else:
            done = self.ask("DELETE", f"/domains/{name}", gone=True)
        if done:
            self.ledger.domains[name] = {wanted}

    def _colleague(self) -> None:
        name = self.chance.choice(self.colleagues)
        wanted = self._turn(self.ledger.people, name)
        if wanted:
            done = self.ask("POST", "/collaborators", {"user": name, "silent": True})
        else:
            done = self.ask("DELETE", f"/collaborators/{name}", gone=True)
        if done:
            self.ledger.people[name] = {wanted}

    def _turn(self, known: dict[str, set[bool]], name: str) -> bool:
        """The contrary of what is so; where that is not known it shall not be."""
        before = known.get(name, {False})
        wanted = before == {False}
        known[name] = before | {wanted}
        return wanted

    def _rollback(self) -> None:
        """To the present slug and config, so that the expectation stays simple."""
        try:
            found = ask(self.platform, f"/apps/{self.app}/releases")
        except (OSError, AssertionError, http.client.HTTPException):
            return
        newest = max(found, key=lambda one: int(one["version"]))
        if newest["slug"] and newest["status"] == "succeeded":
            self.ask("POST", "/releases", {"release": newest["id"]})

    def _restart(self) -> None:
        self.ask("DELETE", "/dynos")


class Runner(Person):
    """Starts one-off dynos that say a word of their own."""

    @property
    def actions(self) -> list[Callable[[], None]]:
        return [self._run]

    def _run(self) -> None:
        word = f"word-{self.tag}-{len(self.ledger.runs)}"
        self.ledger.runs[word] = False
        seconds = self.chance.uniform(0, 1)
        body = {"command": f"echo {word}; sleep {seconds:.1f}", "attach": False}
        self.ledger.runs[word] = self.ask("POST", "/dynos", body)


class Pusher(Person):
    """Pushes one commit after the other; some have a release phase."""

    def __init__(self, *given: Any, work: Path) -> None:
        super().__init__(*given)
        self.work = work
        self.pid = 0

    @property
    def actions(self) -> list[Callable[[], None]]:
        return [self._push]

    def _push(self) -> None:
        number = len(self.ledger.commits)
        phase = "release: echo phase; sleep 0.3\n" if self.chance.random() < 0.5 else ""
        (self.work / "Procfile").write_text(f"web: python3 server.py\n{phase}")
        (self.work / "code").write_text(f"code {self.tag} {number}")
        self.platform.commit(self.work, f"code {self.tag} {number}")
        commit = self.platform.run("git", "rev-parse", "HEAD", cwd=self.work).strip()
        with subprocess.Popen(
            ["git", "push", "pogo", "main"], cwd=self.work, env=self.platform.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as push:  # fmt: skip
            self.pid = push.pid
            said, _ = push.communicate()
            self.pid = 0
        self.ledger.commits.append((commit, push.returncode == 0))
        self.done += push.returncode == 0
        if push.returncode and "Push rejected" in said:
            self.refused.append(f"push: {said[-300:]}")
