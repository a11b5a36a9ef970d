"""The database: SQLite in WAL mode by default, later PostgreSQL; the same services on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import Connection, PoolProxiedConnection, create_engine, event
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from pogo.errors import Conflict, StorageFull, Unavailable
from pogo.model.base import EncryptedJson
from pogo.services import audit, events

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")


class Database:
    """read() and write() give a session inside one transaction; write() commits at the end.

    On SQLite every writing transaction begins IMMEDIATE: a plain BEGIN that reads and then writes
    fails when another writer came between (measured: 179 of 200 concurrent changes lost).
    Raises StorageFull, Unavailable, and Conflict where a unique name was taken meanwhile.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = create_engine(url, pool_size=20, max_overflow=20)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._answers: dict[Callable[[Database], Any], tuple[int | None, Any]] = {}
        self._watching: PoolProxiedConnection | None = None
        self._lock = Lock()
        self._read = sessionmaker(self.engine, expire_on_commit=False)
        self._write = sessionmaker(self.engine.execution_options(pogo_write=True), expire_on_commit=False)
        audit.watch(self._write)
        events.watch(self._write)
        self.describe: events.Describe | None = None

    @contextmanager
    def read(self) -> Iterator[Session]:
        with _explained(), self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with _explained(), self._write.begin() as session:
            yield session
            events.record(session, self.describe)
            audit.record(session)

    def remembered(self, question: Callable[[Database], T]) -> T:
        """The answer of a function that only reads; the last one again while nobody has written since.

        The answer is shared: nobody may change it. On PostgreSQL the question is always asked.
        """
        version = self._version()
        known = self._answers.get(question)
        if known and version is not None and known[0] == version:
            answer: T = known[1]
            return answer
        # Read after the version: what is written meanwhile only makes the next call ask again.
        answer = question(self)
        self._answers[question] = (version, answer)
        return answer

    def _version(self) -> int | None:
        """A number that changes with every transaction that writes, in whatever process (SQLite's data_version)."""
        if self.engine.dialect.name != "sqlite":
            return None
        with self._lock, _explained():
            # Of a connection that never writes: SQLite does not count a connection's own changes.
            if self._watching is None:
                self._watching = self.engine.raw_connection()
            cursor = self._watching.cursor()
            try:
                return int(cursor.execute("PRAGMA data_version").fetchone()[0])
            finally:
                cursor.close()

    def close(self) -> None:
        if self._watching is not None:
            self._watching.close()
            self._watching = None
        self.engine.dispose()


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("pogo_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "full" in text or "No space" in text or "disk I/O" in text:
            raise StorageFull from error
        raise Unavailable(f"The database does not answer ({text}). Try again in a moment.") from error
    except IntegrityError as error:
        raise Conflict from error


def migrate(url: str) -> None:
    """Bring the schema to this version. A database of a newer version is refused by Alembic."""
    from alembic import command  # only bin/up migrates: pogod starts without it

    config = _migrations()
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


def revisions(connection: Connection) -> tuple[str | None, str]:
    """The revision of the schema that is there (None: of none), and the newest one."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(_migrations()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision(), newest or ""


def _migrations() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "model" / "migrations"))
    return config


def load_keys(file: Path) -> None:
    """Use the keys in `file` (one Fernet key a line, newest first) for secrets at rest."""
    keys = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    EncryptedJson.use_keys(MultiFernet([Fernet(key) for key in keys]))
