"""Any part is killed at any moment while an app is deployed, scaled, configured, restarted and rolled back."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from installation import Installation
from waiting import eventually
from wreckage import Requests, answered, check_ticks, git_leftovers, releases, settle, source, version

from pogo.install import processes

APP = "shaken"
SECONDS = 45
PAUSE = 1.2  # runit starts a program at most once a second
SEED = int(os.environ.get("POGO_TEST_SEED") or random.randrange(1 << 32))


class Killer(threading.Thread):
    """Kills a random part every few seconds. killed: how often which."""

    def __init__(self, platform: Installation, chance: random.Random) -> None:
        super().__init__()
        self.platform = platform
        self.chance = chance
        self.killed: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(PAUSE + self.chance.uniform(0, 3)):
            part = self.chance.choice(["pogod", "pogod", "agent", "agent", "router", "monitor", "payload"])
            pid = self._victim(part)
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(part)

    def _victim(self, part: str) -> int:
        if part not in ("monitor", "payload"):
            return self.platform.pid(part)
        for place in self.chance.sample(found := [*(self.platform.state / "run/c").glob("web-*")], len(found)):
            with contextlib.suppress(FileNotFoundError, ValueError):
                monitor = int((place / "pid").read_text())
                if (place / "exit").exists() or processes.ended(monitor):
                    continue
                if part == "monitor":
                    return monitor
                below = [pid for pid in processes.pids() if processes.descends(pid, {monitor}) and pid != monitor]
                return next((pid for pid in below if "server.py" in " ".join(processes.command(pid))), 0)
        return 0


class Owner:
    """Changes the app again and again. What was acknowledged is kept here, to be compared with what is there."""

    def __init__(self, platform: Installation, work: Path, chance: random.Random) -> None:
        self.platform = platform
        self.work = work
        self.chance = chance
        self.done: list[str] = []
        self.config: dict[str, set[str]] = {}
        self.quantity = {1}
        self.commit = ""
        self.pushed = False

    def act(self, number: int) -> None:
        action = self.chance.choice(["push", "scale", "config", "restart", "rollback"])
        status = getattr(self, f"_{action}")(number)
        self.done.append(f"{action}{'' if status == 0 else '?'}")

    def _pogo(self, *words: str) -> int:
        return self.platform.call("pogo", *words, "-a", APP, timeout=60).returncode

    def _push(self, number: int) -> int:
        (self.work / "code").write_text(f"code {number}")
        self.platform.commit(self.work, f"code {number}")
        status = self.platform.call("git", "push", "pogo", "main", cwd=self.work, timeout=90).returncode
        if status == 0:
            self.commit = self.platform.run("git", "rev-parse", "HEAD", cwd=self.work).strip()
        return status

    def _scale(self, number: int) -> int:
        quantity = self.chance.randint(1, 3)
        status = self._pogo("ps:scale", f"web={quantity}")
        # A refused connection may come after the change: then both values are right.
        self.quantity = {quantity} if status == 0 else self.quantity | {quantity}
        return status

    def _config(self, number: int) -> int:
        name, value = f"KEY{number % 3}", str(number)
        status = self._pogo("config:set", f"{name}={value}")
        self.config[name] = {value} if status == 0 else self.config.get(name, {""}) | {value}
        return status

    def _restart(self, number: int) -> int:
        return self._pogo("ps:restart")

    def _rollback(self, number: int) -> int:
        """To the present config, so that the expectation stays simple: the newest release that has a slug."""
        try:
            newest = [one for one in releases(self.platform, APP) if one["slug"]][-1]
        except (OSError, AssertionError):
            return 1
        return self._pogo("rollback", f"v{newest['version']}")


@pytest.mark.timeout(400)
def test_nothing_that_was_acknowledged_is_lost(platform: Installation, tmp_path: Path) -> None:
    print(f"POGO_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    work = platform.create(source(tmp_path / "app"), APP)
    platform.push(work)
    settle(platform, APP, 1, version(platform, APP))
    owner, killer = Owner(platform, work, chance), Killer(platform, random.Random(SEED + 1))
    killer.start()
    end, number = time.monotonic() + SECONDS, 0
    with Requests(platform, APP) as load:
        while time.monotonic() < end:
            number += 1
            owner.act(number)
            time.sleep(chance.uniform(0, 1.5))
        killer.stop.set()
        killer.join()
        print(f"done: {' '.join(owner.done)}\nkilled: {' '.join(killer.killed)}\n{load.outage()}")
        answered(platform, "/account")
        eventually(lambda: all(one["status"] != "pending" for one in answered(platform, f"/apps/{APP}/builds")), 60)
        (formation,) = answered(platform, f"/apps/{APP}/formation")
        assert formation["quantity"] in owner.quantity
        # A dyno that was killed again and again waits before it starts again: a restart ends that.
        platform.pogo("ps:restart", "-a", APP)
        settle(platform, APP, formation["quantity"], version(platform, APP), 90)
        time.sleep(1)
        last = load.last
    assert last.status == 200
    config = answered(platform, f"/apps/{APP}/config-vars")
    assert {key: config.get(key, "") for key in owner.config if config.get(key, "") not in owner.config[key]} == {}
    made = releases(platform, APP)
    assert [one["version"] for one in made] == list(range(1, len(made) + 1))
    assert {one["status"] for one in made} == {"succeeded"}
    builds = answered(platform, f"/apps/{APP}/builds")
    assert {one["status"] for one in builds} == {"succeeded"}
    assert len({one["release"]["id"] for one in builds}) == len(builds)
    # A build whose pusher was told that it failed may have gone on: it is not older than the last one told of.
    commits = platform.run("git", "rev-list", "--reverse", "main", cwd=work).split()
    deployed = [one["source_blob"]["version"] for one in builds]
    assert not owner.commit or max(map(commits.index, deployed)) >= commits.index(owner.commit)
    platform.push(work)
    assert "Everything up-to-date" in platform.push(work)
    assert git_leftovers(platform, APP) == []
    if "monitor" not in killer.killed:
        check_ticks(platform, APP)
    platform.pogo("apps:destroy", APP, "--confirm", APP)
