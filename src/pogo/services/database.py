"""The database: SQLite in WAL mode by default, or PostgreSQL; the same services on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import Connection, PoolProxiedConnection, create_engine, event, func, inspect, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NoResultFound, TimeoutError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from pogo.errors import Conflict, InvalidParams, NotFound, PogoError, StorageFull, Unavailable
from pogo.model import Lease, utcnow
from pogo.model.base import EncryptedJson
from pogo.services import audit, events, postgres

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger()
MIGRATIONS = Path(__file__).parents[1] / "model" / "migrations"
T = TypeVar("T")


class WrongSchema(PogoError):
    """The database has another schema than this version of Pogoapp."""


class LeaseLost(Unavailable):
    """Another daemon does this work now."""


@dataclass(frozen=True)
class Holding:
    """A lease as it was taken. term: changes when somebody else has had it meanwhile."""

    name: str
    token: str
    term: int


class _Writing(Session):
    """What was read before this transaction began may be gone: deleting it then raises NoResultFound."""

    def delete(self, instance: object) -> None:
        state = inspect(instance)
        super().delete(self.get_one(type(instance), state.identity) if state.detached else instance)


holding: ContextVar[Holding | None] = ContextVar("holding", default=None)
"""The lease under which the present task, and what it has begun, works."""


class Database:
    """read() and write() give a session inside one transaction; write() commits at the end.

    On SQLite every writing transaction begins IMMEDIATE: a plain BEGIN that reads and then writes
    fails when another writer came between (measured: 179 of 200 concurrent changes lost).
    PostgreSQL is made to do the same (services.postgres): one transaction writes at a time.
    Raises StorageFull, Unavailable, Conflict where a unique name was taken meanwhile, and NotFound where a row
    that get_one() takes, or that is changed or deleted, was removed meanwhile.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        if postgres.is_postgres(url):
            self.engine = create_engine(
                postgres.driver_url(url),
                pool_size=20,
                max_overflow=20,
                pool_timeout=15,
                pool_pre_ping=True,
                connect_args=postgres.connect_arguments(),
            )
            postgres.prepare(self.engine)
        else:
            self.engine = create_engine(url, pool_size=20, max_overflow=20)
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._answers: dict[Callable[[Database], Any], tuple[int | str, Any]] = {}
        self._watching: PoolProxiedConnection | None = None
        self._lock = Lock()
        self._read = sessionmaker(self.engine, expire_on_commit=False)
        self._write = sessionmaker(
            self.engine.execution_options(pogo_write=True), class_=_Writing, expire_on_commit=False
        )
        audit.watch(self._write)
        events.watch(self._write)
        self.describe: events.Describe | None = None

    @contextmanager
    def read(self) -> Iterator[Session]:
        with _explained(), self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Raises LeaseLost, too: nothing is written by a loop that another daemon runs now."""
        with _explained(), self._write.begin() as session:
            if lease := holding.get():
                _still_held(session, lease)
            yield session
            events.record(session, self.describe)
            audit.record(session)

    def remembered(self, question: Callable[[Database], T]) -> T:
        """The answer of a function that only reads; the last one again while nobody has written since.

        The answer is shared: nobody may change it.
        """
        version = self._version()
        known = self._answers.get(question)
        if known and known[0] == version:
            answer: T = known[1]
            return answer
        # Read after the version: what is written meanwhile only makes the next call ask again.
        answer = question(self)
        self._answers[question] = (version, answer)
        return answer

    def _version(self) -> int | str:
        """What changes with every transaction that writes, in whatever process.

        SQLite's data_version; PostgreSQL's snapshot, which names the transactions whose changes are seen.
        """
        if self.engine.dialect.name == "postgresql":
            with self.read() as session:
                return str(session.scalar(text("SELECT pg_current_snapshot()::text")))
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


def now(session: Session) -> datetime:
    """The time of the database: all daemons have the same, however wrong their clocks are."""
    if session.get_bind().dialect.name == "sqlite":
        return utcnow()
    found: datetime = session.scalars(select(func.clock_timestamp())).one()
    return found


def _still_held(session: Session, lease: Holding) -> None:
    # By token and term alone: who was late, but not overtaken, may go on. Only one transaction writes at a time.
    same = (Lease.name == lease.name, Lease.token == lease.token, Lease.term == lease.term)
    if session.scalar(select(Lease.name).where(*same)) is None:
        raise LeaseLost(f"Another daemon runs the loop {lease.name} now: this turn ends, and changes nothing.")


def _prepare_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("pogo_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


# SQLSTATE of PostgreSQL: what a later try may find gone. 53: resources; 57: shut down, cancelled; 58: its disk;
# 08: connection; 40: deadlock; 55P03: lock_timeout; 25006: a standby now; 25P03: idle in a transaction for too long.
_PASSING = ("08", "40", "53", "57", "58", "55P03", "25006", "25P03")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict from error
    except (NoResultFound, StaleDataError) as error:  # of what somebody removed since it was read
        raise NotFound("resource", "Couldn't find that any more: it was removed meanwhile.") from error
    except DataError as error:
        raise InvalidParams(f"The database cannot hold a value: {str(error.orig).partition(chr(10))[0]}") from error
    except DBAPIError as error:
        said = str(error.orig).strip().partition("\n")[0]
        state = getattr(error.orig, "sqlstate", None) or ""
        if state == "53100" or "is full" in said or "No space" in said or "disk I/O" in said:
            raise StorageFull from error
        if error.connection_invalidated or _may_pass(error, state):
            log.warning("the database does not answer", error=said)  # it names the server: not for who called the API
            raise Unavailable("The database does not answer. Try again in a moment.") from error
        raise
    except TimeoutError as error:  # of the pool
        raise Unavailable("The database has too much to do. Try again in a moment.") from error


def _may_pass(error: DBAPIError, state: str) -> bool:
    return state.startswith(_PASSING) if state else type(error.orig).__name__ in {"OperationalError", "InterfaceError"}


def migrate(url: str) -> None:
    """Bring the schema to this version. Raises WrongSchema for that of a newer one, which is left as it is.

    Raises UnusableDatabase for a PostgreSQL that cannot be used.
    """
    from alembic import command  # only bin/up migrates: pogod starts without it

    if postgres.is_postgres(url):
        postgres.check(url)
    refuse_newer(url)
    config = migrations()
    config.set_main_option("sqlalchemy.url", postgres.driver_url(url).replace("%", "%%"))
    command.upgrade(config, "head")
    if postgres.is_postgres(url):
        postgres.order_by_bytes(url)


def newest_revision() -> str:
    """Of the migrations of this version, without Alembic, whose import takes long."""
    return max(file.name[:4] for file in MIGRATIONS.glob("versions/[0-9]*.py"))


def present_revision(url: str) -> str | None:
    """Of the database; None where it has no tables yet."""
    db = Database(url)
    try:
        with db.read() as session:
            if not inspect(session.connection()).has_table("alembic_version"):
                return None
            return str(session.scalar(text("SELECT version_num FROM alembic_version")))
    finally:
        db.close()


def refuse_newer(url: str) -> None:
    """Raises WrongSchema."""
    present, newest = present_revision(url), newest_revision()
    if present is not None and present > newest:
        raise WrongSchema(
            f"The database has the schema {present} of a newer version of Pogoapp than this one, which has {newest}."
            " Nothing was changed. Run bin/up of that version."
        )


def refuse_other(url: str) -> None:
    """For pogod: raises WrongSchema."""
    refuse_newer(url)
    present, newest = present_revision(url), newest_revision()
    if present != newest:
        raise WrongSchema(
            f"The database has the schema {present or 'of no version'}; this version of Pogoapp needs {newest}."
            " Run bin/up: it migrates the database."
        )


def revisions(connection: Connection) -> tuple[str | None, str]:
    """The revision of the schema that is there (None: of none), and the newest one."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    newest = ScriptDirectory.from_config(migrations()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision(), newest or ""


def migrations() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def load_keys(file: Path) -> None:
    """Use the keys in `file` (one Fernet key a line, newest first) for secrets at rest."""
    keys = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    EncryptedJson.use_keys(MultiFernet([Fernet(key) for key in keys]))
