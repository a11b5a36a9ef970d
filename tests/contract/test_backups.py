"""Backups with real databases, stores and processes: taken, checked, loaded; killed, without space, without a store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ceph import Ceph
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import func, select, update
from waiting import eventually

from pogo.backup import catalog, checking, contents, record, snapshot, taking
from pogo.backup.seal import Damaged, RecoveryKey, TooNew
from pogo.errors import Conflict, StorageFull, Unavailable
from pogo.loops import backups as backup_loop
from pogo.loops import pruning
from pogo.loops.backups import Backups
from pogo.model import App, AuditEvent, Base, Release, Slug, utcnow
from pogo.model.base import EncryptedJson
from pogo.services import apps, encryption, people, releases, row_copy
from pogo.services.database import Database
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.files import FileStore
from postgres_server import Server

KEY = RecoveryKey.new()
SECRET = Fernet.generate_key().decode()


@dataclass
class Place:
    """A state directory with what backups need, made without bin/up."""

    settings: Settings
    config: Path

    @property
    def store(self) -> FileStore:
        return FileStore(Path(self.settings.store.removeprefix("files:")))

    def run(self, *verb: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pogo.backup", *verb],
            env={**os.environ, "POGO_CONFIG": str(self.config)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def done(self, *verb: str) -> object:
        with self.run(*verb) as process:
            said, wrong = process.communicate(timeout=120)
        assert process.returncode == 0, wrong
        return json.loads(said)


@pytest.fixture
def place(tmp_path: Path, schema: Path) -> Place:
    return make(tmp_path / "s", schema)


def make(state: Path, schema: Path, url: str = "", store: str = "") -> Place:
    """With a database of its own, that has the app `shop`."""
    for name in ("keys", "backups", "db", "log"):
        (state / name).mkdir(parents=True)
    keys = state / "keys"
    (keys / "secrets.key").write_text(f"{SECRET}\n")
    (keys / "recovery.pub").write_text(KEY.public.hex())
    (keys / "store.id").write_text("ours\n")
    settings = Settings(state_dir=state, database_url=url, store_url=store)
    config = state / "pogo.conf"
    config.write_text(f"POGO_STATE_DIR={state}\nPOGO_DATABASE_URL={url}\nPOGO_STORE_URL={store}\n")
    FileStore(state / "store").put("installations/ours", [b""])
    EncryptedJson.use_keys(MultiFernet([Fernet(SECRET)]))
    if not url:
        (state / "db/pogo.db").write_bytes(schema.read_bytes())
        with closing(sqlite3.connect(state / "db/pogo.db")) as raw:
            raw.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)")
            raw.execute("INSERT INTO alembic_version VALUES (?)", [newest()])
            raw.commit()
    fill(settings, FileStore(state / "store"))
    return Place(settings, config)


def newest() -> str:
    from alembic.script import ScriptDirectory

    from pogo.services.database import migrations

    return ScriptDirectory.from_config(migrations()).get_current_head() or ""


def fill(settings: Settings, store: BlobStore) -> None:
    db = Database(settings.database)
    ann = people.create_user(db, "ann@example.com", admin=True)
    app = apps.create_app(db, ann, "shop", "pogo-13", 10)
    for number in range(5):
        releases.change_config(db, app, ann, {"GREETING": f"ähoy {number}"})
    with db.write() as session:
        session.add(AuditEvent(ip="", agent="", request_id="", action="x", changes=[{"type": "app", "id": "☃"}]))
    slug_of(db, store, "a" * 36)
    db.close()


def slug_of(db: Database, store: BlobStore, build: str) -> str:
    """A slug that the app's next release names, of four bytes in the store. Returns its key."""
    key = f"slugs/{'0' * 64}-{build}.squashfs"
    store.put(key, [b"slug"])
    with db.write() as session:
        app = session.scalars(select(App)).one()
        slug = Slug(
            app_id=app.id, blob=key, checksum="0" * 64, size=4, stack="pogo-13", process_types={"web": "x"},
            commit=None, commit_description=None, detected=None,
        )  # fmt: skip
        session.add(slug)
        session.flush()
        version = (session.scalar(select(func.max(Release.version))) or 0) + 1
        user = session.scalars(select(Release)).first()
        assert user
        session.add(
            Release(app_id=app.id, version=version, status="succeeded", description="d", user_id=user.user_id,
                    slug_id=slug.id, config={})
        )  # fmt: skip
    return key


def take(place: Place) -> taking.Taken:
    return taking.take(place.settings, place.store)


def opened(place: Place, directory: Path, store: BlobStore | None = None) -> checking.Checked:
    """The newest backup, unpacked into the directory and checked."""
    directory.mkdir()
    store = store or place.store
    with store.open(catalog.find(store, "").key) as source:
        manifest = contents.unpack(source, KEY, directory)
    return checking.check(directory, manifest, store, deep=False)


def digests(url: str) -> dict[str, tuple[int, str]]:
    db = Database(url)
    try:
        with db.read() as session:
            return {one.name: row_copy.digest(session.connection(), one) for one in Base.metadata.sorted_tables}
    finally:
        db.close()


def test_a_backup_comes_back_row_by_row(place: Place, tmp_path: Path, schema: Path) -> None:
    before = digests(place.settings.database)
    taken = take(place)
    assert before == digests(place.settings.database)
    assert taken.size == place.store.size(taken.backup.key)
    with place.store.open(taken.backup.key) as file:
        assert b"SQLite format" not in file.read()
    found = opened(place, tmp_path / "o")
    assert (found.apps, found.slugs, found.missing) == (["shop"], 1, {})
    assert found.secrets >= 6 and found.rows == sum(count for count, _ in before.values())
    other = make(tmp_path / "t", schema)
    other.done("load", str(tmp_path / "o" / contents.DATABASE))
    assert digests(other.settings.database) == before


def test_what_is_written_meanwhile_is_there_whole_or_not_at_all(place: Place, tmp_path: Path) -> None:
    db = Database(place.settings.database)
    stop = threading.Event()

    def write() -> None:  # always two rows more
        while not stop.is_set():
            with db.write() as session:
                for _ in range(2):
                    session.add(AuditEvent(ip="", agent="", request_id="", action="pair", changes=[]))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            snapshot.take(place.settings.database, tmp_path / f"{number}.db")
            with closing(sqlite3.connect(tmp_path / f"{number}.db")) as raw:
                (pairs,) = raw.execute("SELECT count(*) FROM audit_events WHERE action = 'pair'").fetchone()
                assert pairs % 2 == 0
    finally:
        stop.set()
        writer.join()
        db.close()


def test_from_postgres_and_back_into_either(
    shared_database: str, postgres_server: Server, tmp_path: Path, schema: Path
) -> None:
    postgres_server.empty(shared_database)
    place = make(tmp_path / "s", schema, shared_database)
    before = digests(shared_database)
    take(place)
    assert opened(place, tmp_path / "o").apps == ["shop"]
    database = str(tmp_path / "o" / contents.DATABASE)
    lite = make(tmp_path / "t", schema)
    lite.done("load", database)
    assert digests(lite.settings.database) == before
    db = Database(shared_database)
    with db.write() as session:
        session.execute(update(App).values(name="other"))
    place.done("load", database)
    assert digests(shared_database) == before
    with db.write() as session:  # numbers go on after the highest one
        session.add(AuditEvent(ip="", agent="", request_id="", action="next", changes=[]))
    db.close()


def test_on_ceph_and_without_it(ceph: Ceph, place: Place, tmp_path: Path) -> None:
    store = ceph.store("backups-of-ours", tmp_path / "copies", patience=1.0)
    store.put("installations/ours", [b""])
    slug_of(Database(place.settings.database), store, "b" * 36)
    first = taking.take(place.settings, store)
    found = opened(place, tmp_path / "o", store)
    assert (found.slugs, found.missing) == (1, {})
    away = ceph.store("backups-of-ours", tmp_path / "more", patience=0.3, endpoint="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        taking.take(place.settings, away)
    assert catalog.all_of(store) == [first.backup]
    assert not list(place.settings.backups_dir.glob("work-*"))


def test_slugs_that_a_backup_names_outlive_their_app_until_it_goes(place: Place, tmp_path: Path) -> None:
    store, db = place.store, Database(place.settings.database)
    old = next(iter(store.list("slugs/")))
    take(place)
    with db.write() as session:
        session.execute(update(Slug).values(pruned_at=utcnow()))
    platform = Pruned(place.settings, db, store)
    prune = pruning._delete_objects
    prune(platform, timedelta(days=30))  # type: ignore[arg-type]
    assert list(store.list("slugs/")) == [old]
    with db.write() as session:  # the app is gone altogether
        session.execute(update(Slug).values(blob=""))
    prune(platform, timedelta(days=30))  # type: ignore[arg-type]
    assert list(store.list("slugs/")) == [old]
    for backup in catalog.all_of(store):
        catalog.remove(store, backup)
    prune(platform, timedelta(days=30))  # type: ignore[arg-type]
    assert not list(store.list("slugs/"))
    db.close()


@dataclass
class Pruned:
    """What deleting objects asks of a platform."""

    settings: Settings
    db: Database
    store: FileStore


def test_a_store_of_two_installations_is_left_alone(place: Place) -> None:
    place.store.put("installations/other", [b""])
    with pytest.raises(taking.Refused, match="another installation too"):
        take(place)
    place.store.delete("installations/other")
    place.store.delete("installations/ours")
    with pytest.raises(taking.Refused, match="taken the objects over"):
        take(place)


def test_trouble_is_told_and_leaves_nothing(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widen(place.settings.database)
    good = take(place).backup
    data = (place.store.root / good.key).read_bytes()
    (tmp_path / "full").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(tmp_path / "full")], check=True)
    try:
        full = Settings(**{**place.settings.model_dump(), "store_url": f"files:{tmp_path}/full/store"})
        there = FileStore(tmp_path / "full" / "store")
        there.put("installations/ours", [b""])
        monkeypatch.setattr(taking, "_check_space", lambda settings: None)
        (tmp_path / "full" / "rest").write_bytes(bytes(76 << 10))
        with pytest.raises(StorageFull):
            taking.take(full, there)
        assert not catalog.all_of(there) and not catalog.held(there)
    finally:
        subprocess.run(["umount", str(tmp_path / "full")], check=True)
    monkeypatch.undo()
    monkeypatch.setattr(taking, "SPARE", 1 << 60)
    with pytest.raises(StorageFull, match="No backup was taken: it needs"):
        take(place)
    monkeypatch.undo()
    with taking._alone(place.settings.backups_dir), pytest.raises(Conflict, match="being taken already"):
        take(place)
    assert catalog.all_of(place.store) == [good]
    place.store.put(good.key, [data[:-1]])
    with pytest.raises(Damaged, match="cut off"):
        opened(place, tmp_path / "cut")
    place.store.put(good.key, [data])
    (tmp_path / "new").mkdir()
    with place.store.open(good.key) as source:
        manifest = contents.unpack(source, KEY, tmp_path / "new")
    newer = contents.Manifest(**{**vars(manifest), "schema": "9999"})
    with pytest.raises(TooNew, match="schema 9999"):
        checking.check(tmp_path / "new", newer, place.store, deep=False)
    slug = next(iter(place.store.list("slugs/")))
    place.store.put(slug, [b"slag"])
    assert not opened(place, tmp_path / "shallow").missing
    deep = checking.check(tmp_path / "shallow", manifest, place.store, deep=True)
    assert deep.missing == {slug: "its content is not what was stored"}
    place.store.delete(slug)
    assert opened(place, tmp_path / "gone").missing == {slug: "the store lacks it"}


def test_they_are_taken_by_themselves_when_one_is_due(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at once, for a new machine is to restore first; then as often as the settings say; a failure is told."""
    given = {"backup_hours": 24.0}

    def turn(loop: Backups) -> int:
        loop._next = min(loop._next, time.monotonic() + backup_loop.FIRST)
        asyncio.run(loop.turn())
        return len(catalog.all_of(place.store))

    def loop(take: Callable[[], object] = lambda: place.done("take")) -> Backups:
        settings: Any = place.settings.model_copy(update=given)
        platform: Any = SimpleNamespace(settings=settings, store=place.store)
        return Backups(platform, take)

    assert turn(loop()) == 0
    monkeypatch.setattr(backup_loop, "FIRST", 0.0)
    waiting = loop()
    assert turn(waiting) == 1 and record.read(place.settings).name == catalog.find(place.store, "").name
    assert turn(waiting) == 1 and turn(loop()) == 1, "the next one is due tomorrow"
    given["backup_hours"] = 0.0
    assert turn(loop()) == 1
    given["backup_hours"] = 1e-6

    def refuse() -> None:
        raise StorageFull

    with pytest.raises(StorageFull):
        turn(loop(refuse))
    assert record.read(place.settings).why
    assert turn(loop()) == 2 and not record.read(place.settings).why


def test_killed_while_it_is_taken_there_is_no_half_backup(place: Place) -> None:
    widen(place.settings.database)
    for pause in (0.0, 0.1):
        there = catalog.all_of(place.store)
        with place.run("take") as process:
            eventually(lambda: list(place.settings.backups_dir.glob("work-*")) or process.poll() is not None)
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        for backup in set(catalog.all_of(place.store)) - set(there):
            place.store.size(backup.key)  # one that had come to its end
    done = place.done("take")
    assert isinstance(done, dict) and catalog.all_of(place.store)[-1].name == done["name"]
    assert not list(place.settings.backups_dir.glob("work-*"))
    last = record.read(place.settings)
    assert last.name == done["name"] and not last.why and last.age(utcnow()) is not None
    FileStore(place.store.root).delete("installations/ours")
    with place.run("take") as process:
        wrong = process.communicate(timeout=60)[1]
    assert process.returncode == 3 and "taken the objects over" in wrong
    last = record.read(place.settings)
    assert "taken the objects over" in last.why and last.name == done["name"]


def test_killed_while_it_is_loaded_the_database_is_the_old_or_the_new_one(
    place: Place, tmp_path: Path, schema: Path
) -> None:
    widen(place.settings.database)
    take(place)
    opened(place, tmp_path / "o")
    new = digests(place.settings.database)
    other = make(tmp_path / "t", schema)
    old = digests(other.settings.database)
    database = str(tmp_path / "o" / contents.DATABASE)
    wal = other.settings.state_dir / "db" / "pogo.db-wal"

    with other.run("load", database) as process:
        eventually(lambda: (wal.exists() and wal.stat().st_size > 1 << 20) or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    assert digests(other.settings.database) in (old, new)
    other.done("load", database)
    assert digests(other.settings.database) == new


def widen(url: str) -> None:
    """Some megabytes that do not compress."""
    db = Database(url)
    with db.write() as session:
        for _ in range(10):
            changes = [{"type": "app", "id": os.urandom(200_000).hex()}]
            session.add(AuditEvent(ip="", agent="", request_id="", action="wide", changes=changes))
    db.close()


def test_secrets_under_a_new_key_though_it_is_killed_and_others_write(place: Place) -> None:
    db = Database(place.settings.database)
    with db.read() as session:
        app = session.scalars(select(App)).one()
        ann = session.scalars(select(Release)).first()
        assert ann
        config = app.config
    with db.write() as session:
        for number in range(150):
            release = Release(app_id=app.id, version=100 + number, status="failed", description="d", config={})
            release.user_id, release.config = ann.user_id, {"N": str(number)}
            session.add(release)
    file = place.settings.state_dir / "keys" / "secrets.key"
    fresh = Fernet.generate_key().decode()
    file.write_text(f"{fresh}\n{SECRET}\n")
    EncryptedJson.use_keys(MultiFernet([Fernet(fresh), Fernet(SECRET)]))  # pogod, started anew

    def left() -> int:
        with db.read() as session:
            raw = row_copy.raw(Base.metadata.tables["releases"])
            return sum(not encryption._is_under(Fernet(fresh), bytes(data)) for (data,) in
                       session.execute(select(raw.c.config)))  # fmt: skip

    whole = left()
    with place.run("encrypt") as process:
        eventually(lambda: left() < whole or process.poll() is not None)
        process.send_signal(signal.SIGKILL)
    with db.write() as session:
        session.get_one(App, app.id).config = {**config, "WHILE": "it ran"}
    place.done("encrypt")
    assert place.done("encrypt") == {"changed": 0}
    file.write_text(f"{fresh}\n")
    EncryptedJson.use_keys(MultiFernet([Fernet(fresh)]))
    with db.read() as session:
        assert session.get_one(App, app.id).config == {**config, "WHILE": "it ran"}
        found = {one.version: one.config for one in session.scalars(select(Release))}
    assert all(found[100 + number] == {"N": str(number)} for number in range(150))
    db.close()
    EncryptedJson.use_keys(MultiFernet([Fernet(SECRET)]))
    file.write_text(f"{SECRET}\n")
    with place.run("encrypt") as process:
        assert "can be read by none of the keys" in process.communicate(timeout=60)[1]
