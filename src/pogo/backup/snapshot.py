"""The database as one file of SQLite, whichever it is: out of the one in use, and back into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.exc import DBAPIError

from pogo.disk import full_disk_is_an_error
from pogo.errors import NotFound, PogoError, StorageFull, Unavailable
from pogo.model import Base, Slug
from pogo.services import postgres, row_copy
from pogo.services.database import Database, migrate

_SQLITE = "sqlite:///"


class NotLoaded(PogoError):
    """The database was not replaced; nothing of it has changed."""


def take(url: str, target: Path) -> None:
    """The state of one moment. Raises NotFound, StorageFull, Unavailable."""
    with full_disk_is_an_error(), _explained():
        if postgres.is_postgres(url):
            _from_postgres(url, target)
        else:
            source = Path(url.removeprefix(_SQLITE))
            if not source.is_file():
                raise NotFound("database", f"There is no database at {source}. Run bin/up.")
            with closing(sqlite3.connect(f"file:{source}?mode=rw", uri=True)) as old, closing(_new(target)) as new:
                old.execute("PRAGMA busy_timeout=15000")
                old.backup(new)  # in one step: the database of one moment, and no writer waits
        with closing(sqlite3.connect(target)) as new:
            new.execute("PRAGMA journal_mode=DELETE")  # one file, readable in a directory that is not


def _new(target: Path) -> sqlite3.Connection:
    target.touch(0o600, exist_ok=False)
    return sqlite3.connect(target)


def _from_postgres(url: str, target: Path) -> None:
    target.touch(0o600, exist_ok=False)
    migrate(f"{_SQLITE}{target}")
    old, new = Database(url), Database(f"{_SQLITE}{target}")
    try:
        with old.read() as source, new.write() as destination:
            destination.execute(text("PRAGMA defer_foreign_keys=ON"))
            for one in Base.metadata.sorted_tables:
                row_copy.fill(source.connection(), destination.connection(), one)
    finally:
        old.close()
        new.close()


def slugs(url: str) -> list[str]:
    """Keys of the objects that releases can name, in the database that is in use."""
    db = Database(url)
    try:
        with db.read() as session:
            return slugs_in(session.connection())
    finally:
        db.close()


def slugs_in(connection: Connection) -> list[str]:
    return sorted(set(connection.scalars(select(Slug.blob).where(Slug.pruned_at.is_(None), Slug.blob != ""))))


@contextmanager
def reading(file: Path) -> Iterator[Connection]:
    """A file that `take` made, which stays as it is."""
    engine = create_engine(f"{_SQLITE}file:{file}?mode=ro&uri=true")
    try:
        with _explained(), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def load(source: Path, url: str) -> None:
    """Replace the database by the file's, of the same schema, as one transaction. Nobody else may write meanwhile.

    Raises NotLoaded, StorageFull, Unavailable.
    """
    with full_disk_is_an_error(), _explained():
        if postgres.is_postgres(url):
            _into_postgres(source, url)
            return
        target = Path(url.removeprefix(_SQLITE))
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(_existing(target)) as new:
            # Killed in the middle, it is rolled back by whoever opens it next.
            old.backup(new)
            new.execute("PRAGMA journal_mode=WAL")


def _existing(target: Path) -> sqlite3.Connection:
    found = sqlite3.connect(target)
    found.execute("PRAGMA synchronous=FULL")
    return found


def _into_postgres(source: Path, url: str) -> None:
    new = Database(url)
    try:
        with reading(source) as given, new.write() as session:
            connection = session.connection()
            for one in reversed(Base.metadata.sorted_tables):
                connection.execute(one.delete())
            for one in Base.metadata.sorted_tables:
                row_copy.fill(given, connection, one)
            for one in Base.metadata.sorted_tables:
                if row_copy.digest(given, one) != row_copy.digest(connection, one):
                    raise NotLoaded(f"{one.name} did not come over as it was backed up. The database is as it was.")
    finally:
        new.close()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        if "full" in str(error) or "disk I/O" in str(error):
            raise StorageFull("The disk is full, so nothing was changed. Free some space first.") from error
        raise Unavailable(f"The database cannot be read or written: {error}.") from error
