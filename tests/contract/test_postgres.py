"""On a real PostgreSQL: what is refused, what is borne, and two daemons on one database."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import func, make_url, select, text, update

from pogo.errors import InvalidParams, Unavailable
from pogo.model import App, Build, Dyno, Lease, Release, User, utcnow
from pogo.model.base import EncryptedJson
from pogo.rules import formation
from pogo.services import apps, builds, leases, people, releases
from pogo.services.database import Database, LeaseLost, holding, migrate
from pogo.services.postgres import UnusableDatabase, check, driver_url
from pogo.services.shared_hints import SharedHints
from pogo.store.files import FileStore
from postgres_server import Server

ROUNDS = int(os.environ.get("POGO_TEST_ROUNDS") or 2)
SEED = int(os.environ.get("POGO_TEST_SEED") or random.randrange(1 << 32))
DOUBLE = Path(__file__).parent / "daemon_double.py"


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to it"
        time.sleep(0.05)


@pytest.fixture
def key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def database(postgres_server: Server, shared_database: str, key: str) -> Iterator[Database]:
    postgres_server.empty(shared_database)
    EncryptedJson.use_keys(MultiFernet([Fernet(key)]))
    db = Database(shared_database)
    yield db
    db.close()


@pytest.fixture
def ann(database: Database) -> User:
    return people.create_user(database, "ann@example.com")


def test_a_database_that_cannot_be_used_is_refused(postgres_server: Server) -> None:
    check(postgres_server.url())
    latin = postgres_server.database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(UnusableDatabase, match="encoding LATIN1"):
        migrate(latin)
    with pytest.raises(UnusableDatabase, match=r"does not exist(?s:.*)CREATE DATABASE"):
        check(postgres_server.url("nowhere"))
    with pytest.raises(UnusableDatabase, match=r"to postgresql://pogo:\*\*\*@(?s:.*)whether the server runs"):
        check("postgresql://pogo:secret@127.0.0.1:1/pogo")
    postgres_server.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(UnusableDatabase, match="may not make tables"):
        check(postgres_server.url().replace("//pogo@", "//guest@"))


def test_a_wrong_password_is_told(postgres_server: Server) -> None:
    rules = postgres_server.directory / "data" / "pg_hba.conf"
    before = rules.read_text()
    postgres_server.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
    try:
        rules.write_text("local all locked scram-sha-256\n" + before)
        postgres_server.execute("SELECT pg_reload_conf()")
        wrong = postgres_server.url().replace("//pogo@", "//locked:wrong@")
        with pytest.raises(UnusableDatabase, match=r"password authentication failed(?s:.*)POGO_DATABASE_URL"):
            check(wrong)
    finally:
        rules.write_text(before)
        postgres_server.execute("SELECT pg_reload_conf()")


def test_text_sorts_by_bytes_whatever_the_locale(postgres_server: Server, key: str) -> None:
    EncryptedJson.use_keys(MultiFernet([Fernet(key)]))
    url = postgres_server.database("LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0")
    migrate(url)
    db = Database(url)
    with db.read() as session:
        query = "SELECT string_agg(v, '' ORDER BY v) FROM (VALUES ('a'), ('B'), ('b')) t(v)"
        assert session.scalar(text(query)) == "abB"  # of the locale
    for name in ("b-a", "ba", "b0"):
        people.create_user(db, f"{name}@example.com")
    with db.read() as session:
        assert list(session.scalars(select(User.email).order_by(User.email))) == [
            "b-a@example.com",
            "b0@example.com",
            "ba@example.com",
        ]
    db.close()


def test_numbers_of_releases_and_slots_have_no_gap_under_concurrent_writers(database: Database, ann: User) -> None:
    def make(n: int) -> App:
        return apps.create_app(database, ann, f"app-{n}", "pogo-13", 100)

    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(make, range(24)))
        assert sorted(app.slot for app in made) == list(range(1, 25))

        def change(n: int) -> None:
            releases.change_config(database, made[0], ann, {f"KEY{n}": str(n)})

        list(pool.map(change, range(40)))
    found = releases.list_releases(database, made[0])
    assert [release.version for release in found] == list(range(1, 42))
    assert len(found[-1].config) == 40


def test_who_was_overtaken_writes_nothing(database: Database, ann: User) -> None:
    first = leases.hold(database, {"dynos"}, "a:1")["dynos"]
    holding.set(first)
    try:
        apps.create_app(database, ann, "one", "pogo-13", 10)
        with database.write() as session:
            session.execute(update(Lease).values(expires_at=text("now() - interval '1 second'")))
        apps.create_app(database, ann, "two", "pogo-13", 10)  # late, but nobody else has it
        holding.set(None)
        assert leases.hold(database, {"dynos"}, "b:1")
        holding.set(first)
        with pytest.raises(LeaseLost):
            apps.create_app(database, ann, "three", "pogo-13", 10)
        holding.set(None)
        with database.write() as session:
            session.execute(update(Lease).values(expires_at=text("now() - interval '1 second'")))
        again = leases.hold(database, {"dynos"}, "a:1")["dynos"]
        assert again.term == first.term + 2
        holding.set(first)  # a turn that began before the other daemon's time
        with pytest.raises(LeaseLost):
            apps.create_app(database, ann, "three", "pogo-13", 10)
    finally:
        holding.set(None)


def test_a_clock_that_is_wrong_takes_no_lease(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert leases.hold(database, {"dynos"}, "a:1")
    future = utcnow() + timedelta(days=1)
    monkeypatch.setattr("pogo.services.database.utcnow", lambda: future)
    assert not leases.hold(database, {"dynos"}, "b:1")


def test_lost_connections_and_a_server_that_is_away(postgres_server: Server, database: Database, ann: User) -> None:
    name = make_url(database.url).database or ""

    def known() -> User:
        return people.find_user(database, "ann@example.com")

    def write_half() -> None:
        with database.write() as session:
            session.add(User(email="half@example.com"))
            session.flush()
            postgres_server.disconnect(name)

    with pytest.raises(Unavailable, match="does not answer"):
        write_half()
    assert known().id == ann.id, "the pool finds out that its connections are gone"
    postgres_server.stop()
    try:
        with pytest.raises(Unavailable, match="does not answer"):
            known()
        with pytest.raises(Unavailable, match="does not answer"):
            people.create_user(database, "bob@example.com")
    finally:
        postgres_server.start()
    assert known().id == ann.id
    with database.read() as session:
        assert list(session.scalars(select(User.email))) == ["ann@example.com"]
    with pytest.raises(InvalidParams):
        people.create_user(database, "nul\0@example.com")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
async def test_hints_reach_the_other_daemon_also_after_a_lost_connection(
    postgres_server: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pogo.services.shared_hints.PAUSE", 0.1)
    here, there = (SharedHints(driver_url(database.url)) for _ in range(2))
    for hints in (here, there):
        hints.bind(asyncio.get_running_loop())

    async def reaches() -> None:
        async with asyncio.timeout(20):
            heard = asyncio.create_task(there.wait("builds", 60))
            while not heard.done():
                here.wake("builds")
                await asyncio.wait([heard], timeout=0.1)

    await reaches()
    await asyncio.to_thread(postgres_server.disconnect, make_url(database.url).database or "")
    await reaches()


class Daemons:
    """Two processes (daemon_double.py) on the database."""

    def __init__(self, url: str, state: Path, key: str) -> None:
        self.arguments = (url, str(state), key)
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, node: str) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self.running[node] = subprocess.Popen(
            [sys.executable, str(DOUBLE), *self.arguments, node],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        output = self.running[node].stdout
        assert output and output.readline() == "works\n"

    def kill(self, node: str) -> None:
        process = self.running.pop(node)
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_two_daemons_share_the_work_and_either_may_be_killed(
    postgres_server: Server, database: Database, ann: User, key: str, tmp_path: Path
) -> None:
    """Containers are doubles that die with their daemon: what is tested is what the loops decide."""
    made = [apps.create_app(database, ann, f"app-{n}", "pogo-13", 100) for n in range(4)]
    store = FileStore(tmp_path / "store")
    pushed = 0

    def push() -> None:
        nonlocal pushed
        for app in made:
            source = f"sources/{app.name}-{pushed}.tar"
            store.put(source, [b"tar"])
            builds.start_build(database, app, ann, source, f"{pushed:040x}")
            pushed += 1

    def pending() -> list[str]:
        with database.read() as session:
            left = list(session.scalars(select(Build.status).where(Build.status == "pending")))
            return left + list(session.scalars(select(Release.status).where(Release.status == "pending")))

    def busy(node: str) -> bool:
        with database.read() as session:
            return session.scalar(select(Build.id).where(Build.claim_token.startswith(node + ":")).limit(1)) is not None

    def holders() -> set[str]:
        with database.read() as session:
            held = session.scalars(select(Lease.token).where(Lease.token != "", Lease.expires_at > func.now()))
            return {token.partition(":")[0] for token in held}

    print(f"POGO_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    daemons = Daemons(database.url, tmp_path, key)
    try:
        daemons.start("node0")
        daemons.start("node1")
        for number in range(2, 2 + ROUNDS):
            push()
            victim = chance.choice(sorted(daemons.running))
            until(lambda: busy(victim) or not pending())  # noqa: B023
            daemons.kill(victim)
            push()
            releases.change_config(database, made[0], ann, {"NUMBER": str(number)})
            daemons.start(f"node{number}")
        until(lambda: not pending(), 30 + 5 * ROUNDS)
        until(lambda: holders() and holders() <= daemons.running.keys())
    finally:
        for node in list(daemons.running):
            daemons.kill(node)
    with database.read() as session:
        ended = list(session.scalars(select(Build)))
        assert Counter(build.status for build in ended) == {"succeeded": pushed}
        lost = select(Dyno.release_id).where(Dyno.kind == "release", Dyno.exit_status == formation.LOST)
        interrupted = set(session.scalars(lost))
        assert len(interrupted) <= ROUNDS * len(made)
        for app in made:
            found = list(session.scalars(select(Release).where(Release.app_id == app.id).order_by(Release.version)))
            changed = ROUNDS if app is made[0] else 0
            assert [release.version for release in found] == list(range(1, 2 + changed + pushed // len(made)))
            # The double's containers die with their daemon: what a command began is not run a second time by itself.
            cut = {release.id for release in found if release.status != "succeeded"}
            assert cut <= interrupted, [release.status for release in found]
            built = [build.release_id for build in ended if build.app_id == app.id]
            assert {release.id for release in found[1:] if release.description.startswith("Deploy")} == {*built}
            assert len({*built}) == len(built)
            assert found[-1].config.get("NUMBER") == (str(1 + ROUNDS) if changed else None)
        phases = Counter(session.scalars(select(Dyno.release_id).where(Dyno.kind == "release")))
        assert set(phases.values()) <= {1}
