"""From SQLite to a real PostgreSQL, every row."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import Connection, Table, select, text

from pogo.errors import Conflict
from pogo.install import database_copy
from pogo.model import App, AuditEvent, User
from pogo.model.base import EncryptedJson
from pogo.services import apps, people, releases
from pogo.services.database import Database, migrate
from postgres_server import Server


@pytest.fixture
def key() -> str:
    return Fernet.generate_key().decode()


def _filled(state: Path, key: str) -> tuple[str, App, User]:
    """A database of SQLite with something in it."""
    EncryptedJson.use_keys(MultiFernet([Fernet(key)]))
    url = f"sqlite:///{state}/pogo.db"
    migrate(url)
    db = Database(url)
    ann = people.create_user(db, "ann@example.com", admin=True)
    app = apps.create_app(db, ann, "shop", "pogo-13", 10)
    for n in range(30):
        releases.change_config(db, app, ann, {f"KEY{n}": "ü" * n})
    with db.write() as session:
        session.add(_event("first"))
    db.close()
    return url, app, ann


def _event(action: str) -> AuditEvent:
    return AuditEvent(ip="", agent="", request_id="", action=action, changes=[{"type": "app", "id": "☃"}])


def test_every_row_is_moved_and_a_target_in_use_is_refused(postgres_server: Server, tmp_path: Path, key: str) -> None:
    source, app, ann = _filled(tmp_path, key)
    before = (tmp_path / "pogo.db").read_bytes()
    target = postgres_server.database()
    rows = database_copy.copy(source, target, "abc123")
    assert rows["releases"] == 31 and rows["apps"] == rows["users"] == rows["audit_events"] == 1
    assert database_copy.copy(source, target, "abc123") == rows, "until it is in use it may be done again"
    with pytest.raises(Conflict, match="another installation"):
        database_copy.copy(source, target, "def456")
    database_copy.finish(target)
    with pytest.raises(Conflict, match="not empty: there are rows"):
        database_copy.copy(source, target, "abc123")
    postgres_server.execute("CREATE TABLE other (id int)", database="template1")
    try:
        with pytest.raises(Conflict, match="has the table other"):
            database_copy.copy(source, postgres_server.database(), "abc123")
    finally:
        postgres_server.execute("DROP TABLE other", database="template1")
    db = Database(target)
    assert len(releases.change_config(db, app, ann, {"NEW": "1"})) == 31
    with db.write() as session:
        session.add(_event("second"))
    with db.read() as session:
        assert list(session.scalars(select(AuditEvent.number).order_by(AuditEvent.number))) == [1, 2]
    db.close()
    assert (tmp_path / "pogo.db").read_bytes() == before


def test_a_copy_that_differs_is_found_and_one_that_was_killed_is_done_again(
    postgres_server: Server, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _, _ = _filled(tmp_path, key)
    target = postgres_server.database()
    fill = database_copy._fill

    def wrong(old: Connection, new: Connection, one: Table) -> None:
        fill(old, new, one)
        if one.name == "releases":
            new.execute(text("UPDATE releases SET description = 'x' WHERE version = 7"))

    monkeypatch.setattr(database_copy, "_fill", wrong)
    with pytest.raises(database_copy.NotCopied, match="releases differs: 31 rows here, 31 there"):
        database_copy.copy(source, target, "abc123")

    def killed(old: Connection, new: Connection, one: Table) -> None:
        fill(old, new, one)
        if one.name == "releases":
            raise KeyboardInterrupt

    monkeypatch.setattr(database_copy, "_fill", killed)
    with pytest.raises(KeyboardInterrupt):
        database_copy.copy(source, target, "abc123")
    monkeypatch.setattr(database_copy, "_fill", fill)
    assert database_copy.copy(source, target, "abc123")["releases"] == 31
