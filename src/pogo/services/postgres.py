"""What PostgreSQL needs to be the database as SQLite is: one writer at a time, reads of one moment (decision 0025)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from pogo.errors import PogoError

OLDEST = 13
WRITER = 0x706F676F  # "pogo"; advisory locks are a database's own
_WAIT = "15s"  # as SQLite's busy_timeout
_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "timezone": "UTC",
        "lock_timeout": _WAIT,
        # A daemon that is frozen, or whose host is gone, keeps nobody from writing for longer.
        "idle_in_transaction_session_timeout": _WAIT,
        "tcp_keepalives_idle": 5,
        "tcp_keepalives_interval": 3,
        "tcp_keepalives_count": 3,
    }.items()
)


class UnusableDatabase(PogoError):
    """The PostgreSQL server or database cannot be used."""


def driver_url(url: str) -> str:
    """With our driver, where the URL names none: `postgresql://…`, also written `postgres://…`."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if separator and scheme in {"postgresql", "postgres"} else url


def is_postgres(url: str) -> bool:
    return driver_url(url).startswith("postgresql+psycopg://")


def connect_arguments() -> dict[str, Any]:
    return {"connect_timeout": 5, "options": _OPTIONS, "application_name": "pogo"}


def prepare(engine: Engine) -> None:
    """Let one transaction write at a time, and let those that read see one moment."""
    event.listen(engine, "begin", _begin)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("pogo_write"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def check(url: str) -> None:
    """Whether this server and database will do. Raises UnusableDatabase: what is wrong, and what to do."""
    shown = make_url(url).render_as_string(hide_password=True)
    engine = create_engine(driver_url(url), connect_args=connect_arguments())
    try:
        with engine.connect() as connection:
            version = int(connection.scalar(text("SELECT current_setting('server_version_num')")) or 0) // 10000
            encoding = connection.scalar(text("SHOW server_encoding"))
            may_create = connection.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')"))
            reads_only = connection.scalar(text("SELECT pg_is_in_recovery()"))
    except OperationalError as error:
        raise UnusableDatabase(f"Cannot connect to {shown}: {_first_line(error)}\n{_advice(str(error.orig))}") from None
    except DBAPIError as error:
        raise UnusableDatabase(f"Cannot use {shown}: {_first_line(error)}") from None
    finally:
        engine.dispose()
    if version < OLDEST:
        raise UnusableDatabase(f"{shown} is PostgreSQL {version}. Pogoapp needs {OLDEST} or later.")
    if encoding != "UTF8":
        raise UnusableDatabase(
            f"The database of {shown} has the encoding {encoding}. Make one with UTF8:\n"
            "  CREATE DATABASE pogo OWNER pogo ENCODING 'UTF8' TEMPLATE template0;"
        )
    if reads_only:
        raise UnusableDatabase(f"{shown} is a standby, which nobody can write to. Name the primary.")
    if not may_create:
        raise UnusableDatabase(
            f"The user of {shown} may not make tables there. Let the user own the database:\n"
            "  ALTER DATABASE pogo OWNER TO pogo;  GRANT CREATE ON SCHEMA public TO pogo;"
        )


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]


def _advice(found: str) -> str:
    if "password" in found or "authentication" in found or "no pg_hba.conf entry" in found:
        return "Look at the user and the password in POGO_DATABASE_URL, and at the server's pg_hba.conf."
    if "does not exist" in found:
        return "Make it first:  CREATE ROLE pogo LOGIN PASSWORD '…';  CREATE DATABASE pogo OWNER pogo ENCODING 'UTF8';"
    return "Look whether the server runs, and at the host and the port in POGO_DATABASE_URL."


def order_by_bytes(url: str) -> None:
    """Let all text columns sort as SQLite sorts, by bytes, whatever the locale of the database. Repeatable."""
    engine = create_engine(driver_url(url), connect_args=connect_arguments())
    try:
        with engine.begin() as connection:
            _order_by_bytes(connection)
    finally:
        engine.dispose()


def _order_by_bytes(connection: Connection) -> None:
    columns = connection.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C'"
            " AND table_name <> 'alembic_version' ORDER BY table_name"
        )
    )
    changes: dict[str, list[str]] = {}
    for table, column in columns:
        changes.setdefault(table, []).append(f'ALTER COLUMN "{column}" TYPE varchar COLLATE "C"')
    for table, parts in changes.items():
        connection.exec_driver_sql(f'ALTER TABLE "{table}" {", ".join(parts)}')
