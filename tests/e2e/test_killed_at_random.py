"""Any part is killed at any moment while people push, scale, configure, roll back and run one-off dynos, in rounds.

POGO_TEST_ROUNDS: how many. POGO_TEST_SEED: of the first one; each prints its own, with which it is repeated alone.
POGO_TEST_DATABASE=postgresql, POGO_TEST_STORE=ceph: there, and their processes are killed, too.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import invariants
import pytest
from ceph import Ceph
from installation import Installation, reserve
from owners import Ledger, Person, Pusher, Runner, Settler
from sqlalchemy import text
from victims import Kill, Killer, plan
from waiting import eventually
from wreckage import Requests, answered, check_ticks, releases, request, settle, source, version

from pogo.errors import Unavailable
from pogo.services.database import Database
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.files import FileStore
from postgres_server import Server

APP = "shaken"
BUCKET = "pogo-shaken"
COLLEAGUES = [f"colleague{n}@example.com" for n in range(3)]
ROUNDS = int(os.environ.get("POGO_TEST_ROUNDS") or 2)
SEED = int(os.environ.get("POGO_TEST_SEED") or random.randrange(1 << 32))
SECONDS = 7.0  # of kills in a round
PATIENCE = 120.0  # seconds to settle


@dataclass
class Place:
    """Where it happens. others: what else can be killed, by name."""

    platform: Installation
    db: Database
    store: BlobStore
    others: dict[str, Callable[[], bool]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The platform of all tests, or one on another database or store."""
    given: dict[str, str] = {}
    others: dict[str, Callable[[], bool]] = {}
    store: BlobStore | None = None
    if os.environ.get("POGO_TEST_DATABASE") == "postgresql":
        server: Server = request.getfixturevalue("postgres_server")
        server.directory.chmod(0o755)
        given["POGO_DATABASE_URL"] = server.database()
        others["database"] = lambda: _kill_backend(Database(given["POGO_DATABASE_URL"]))
    if os.environ.get("POGO_TEST_STORE") == "ceph":
        ceph: Ceph = request.getfixturevalue("ceph")
        given |= {"POGO_STORE_URL": f"s3://{BUCKET}", "POGO_STORE_ENDPOINT": ceph.endpoint,
                  "AWS_ACCESS_KEY_ID": ceph.keys.access, "AWS_SECRET_ACCESS_KEY": ceph.keys.secret}  # fmt: skip
        store = ceph.store(BUCKET, tmp_path_factory.mktemp("copies"))
        starting = threading.Lock()
        others["gateway"] = lambda: _kill_gateway(ceph, starting)
    if not given:
        platform: Installation = request.getfixturevalue("platform")
        yield _place(platform, None, None, others)
        return
    platform = reserve()
    try:
        platform.up(**given)
        yield _place(platform, given.get("POGO_DATABASE_URL"), store, others)
    finally:
        platform.remove()


def _place(
    platform: Installation, url: str | None, store: BlobStore | None, others: dict[str, Callable[[], bool]]
) -> Place:
    db = Database(url or Settings(state_dir=platform.state).database)
    return Place(platform, db, store or FileStore(platform.state / "store"), others)


def _kill_backend(db: Database) -> bool:
    """One process of the server: it ends all the others then, and starts again by itself."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() LIMIT 1"
    pid = 0
    with contextlib.suppress(Unavailable), db.read() as session:  # our own connection goes with it
        if pid := session.scalar(text(query)) or 0:
            os.kill(pid, signal.SIGKILL)
    db.close()
    return pid > 0


def _kill_gateway(ceph: Ceph, starting: threading.Lock) -> bool:
    """Nobody else starts it again; starting: held until it runs."""

    def start() -> None:
        time.sleep(1.5)
        try:
            ceph.start()
        finally:
            starting.release()

    if not starting.acquire(blocking=False):
        return False
    ceph.kill_gateway()
    threading.Thread(target=start).start()
    return True


@dataclass
class Shaking:
    """An app that is shaken, and what is known of it. failed: requests, by the part whose death explains them."""

    place: Place
    work: Path
    files: set[str]
    ledger: Ledger = field(default_factory=Ledger)
    kills: list[Kill] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    done: int = 0

    def round(self, seed: int) -> list[str]:
        """Load and kills, then peace. What is not as it must be."""
        chance, platform, since = random.Random(seed), self.place.platform, time.time()
        self.ledger.runs.clear()
        given = (platform, APP)
        tag = f"{seed:x}"
        pusher = Pusher(*given, random.Random(chance.random()), self.ledger, tag, work=self.work)
        people: list[Person] = [
            pusher,
            Runner(*given, random.Random(chance.random()), self.ledger, tag),
            Settler(*given, random.Random(chance.random()), self.ledger, tag, colleagues=COLLEAGUES),
        ]
        planned = plan(chance, SECONDS, dict.fromkeys(self.place.others, 4))
        killer = Killer(platform, planned, chance, lambda: pusher.pid, self.place.others)
        with Requests(platform, APP) as load:
            for thread in (*people, killer):
                thread.start()
            killer.join()
            for person in people:
                person.stop.set()
            for person in people:
                person.join()
            found = self._settle()
            eventually(lambda: load.last.status == 200, 20)
        kills = killer.kills
        self.kills += kills
        self.asked += len(load.asked)
        self.done += sum(person.done for person in people)
        found += [answer for person in people for answer in person.refused if not _excused(answer, kills)]
        found += invariants.rows(invariants.requests(load, kills, self.failed))
        found += self._look(load, kills, since) if not found else []
        words = ", ".join(f"{kill.part} {kill.what}".strip() + f" {kill.at - since:.1f}" for kill in kills)
        print(f"seed {seed}: {words}; {load.outage()}; {time.time() - since:.0f} s")
        if found:
            print(*self._said(since), sep="\n")
        return [f"seed {seed} ({words}; began {since:.2f}): {one}" for one in found]

    def _said(self, since: float) -> list[str]:
        """What the platform's parts have put on record since."""
        moment = time.strftime("%Y-%m-%d_%H:%M:%S", time.gmtime(since))
        files = [self.place.platform.state / "log" / part / "current" for part in ("pogod", "agent")]
        lines = [f"{file.parent.name}: {line}" for file in files for line in file.read_text().splitlines()]
        return [line[:1500] for line in lines if line.partition(": ")[2] >= moment][-200:]

    def _settle(self) -> list[str]:
        platform = self.place.platform
        try:
            answered(platform, "/account")
            for path in ("builds", "releases"):
                eventually(lambda: not _pending(platform, path), PATIENCE)  # noqa: B023
            quantity = next(one for one in answered(platform, f"/apps/{APP}/formation") if one["type"] == "web")[
                "quantity"
            ]
            # A dyno that was killed again and again waits before it starts again: a restart ends that.
            eventually(lambda: request(platform, "DELETE", f"/apps/{APP}/dynos").status == 202)
            settle(platform, APP, quantity, lambda: _live(platform), PATIENCE)
            eventually(lambda: not invariants.rows(invariants.leases(self.place.db)), 30)
        except AssertionError as error:
            return [f"does not settle: {error}"]
        return []

    def _look(self, load: Requests, kills: list[Kill], since: float) -> list[str]:
        place, platform = self.place, self.place.platform
        # It clears away what a killed git left.
        platform.push(self.work)
        found = invariants.rows(
            invariants.acknowledged(platform, APP, self.ledger),
            invariants.history(platform, APP, self.ledger, self.kills),
            invariants.one_offs(platform, APP, self.ledger, kills, since),
            invariants.stored(place.db, place.store),
            invariants.transcripts(platform, place.db),
            invariants.uids(platform),
            invariants.routed(platform, APP, load, kills, since),
            invariants.of_git(platform, APP),
            invariants.of_state(platform, self.files),
        )
        try:
            check_ticks(platform, APP, since, {kill.what for kill in kills if kill.part == "dyno"})
        except AssertionError as error:
            found.append(str(error))
        return found

    def collected(self) -> None:
        """Nothing is in the store that no row names, after a collection."""
        self.place.platform.kill("pogod")  # the next one collects at once
        place = self.place
        began, end = time.time(), time.monotonic() + 60
        while left := invariants.nameless(place.platform, place.db, place.store):
            assert time.monotonic() < end, "\n".join([*left, *place.store.list("installations/"), *self._said(began)])
            time.sleep(0.2)


def _live(platform: Installation) -> int:
    """The release that runs; a push whose client was killed may still make the next one."""
    return max(int(one["version"]) for one in releases(platform, APP) if one["status"] == "succeeded")


def _pending(platform: Installation, path: str) -> bool:
    return any(one["status"] == "pending" for one in answered(platform, f"/apps/{APP}/{path}"))


def _excused(answer: str, kills: list[Kill]) -> bool:
    """A build whose own process is killed is refused, as where the memory ended; a store that is away is told of."""
    return answer.startswith("push: ") and any(kill.part in ("build's process", "gateway") for kill in kills)


@pytest.fixture
def shaking(place: Place, tmp_path: Path) -> Iterator[Shaking]:
    platform = place.platform
    work = platform.create(source(tmp_path / "app"), APP)
    (work / "requirements.txt").unlink()
    shutil.rmtree(work / "bin")
    platform.commit(work, "small")
    platform.push(work)
    for email in COLLEAGUES:
        assert request(platform, "POST", "/users", {"email": email, "password": "words that nobody says"}).status < 300
    assert request(platform, "PATCH", f"/apps/{APP}/formation/web", {"quantity": 2}).status == 200
    settle(platform, APP, 2, version(platform, APP))
    found = Shaking(place, work, invariants.inventory(platform.state))
    found.ledger.quantity = {2}
    yield found
    platform.pogo("apps:destroy", APP, "--confirm", APP)
    place.db.close()


@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_nothing_that_was_acknowledged_is_lost(shaking: Shaking) -> None:
    wrong: list[str] = []
    for number in range(ROUNDS):
        wrong += shaking.round(SEED + number)
        if wrong:
            print("\n".join(wrong), flush=True)
    print(f"POGO_TEST_SEED={SEED} POGO_TEST_ROUNDS={ROUNDS}: {len(shaking.kills)} kills: "
          f"{dict(Counter(kill.part for kill in shaking.kills))}; {shaking.done} changes acknowledged; "
          f"{sum(shaking.failed.values())} of {shaking.asked} requests failed: {dict(shaking.failed)}")  # fmt: skip
    shaking.collected()
    assert wrong == []
