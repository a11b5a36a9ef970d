"""Copies the database of an installation to PostgreSQL, and looks at every row afterwards. Run as pogod's user.

    python -m pogo.install.database_copy <wishes.json >found.json

Wishes: url (of the PostgreSQL database), origin (what tells this installation from others), finish (the copy is in
use now: it is marked no longer as unfinished). Found: rows (table → number).

A copy that was begun is marked by a comment on a table, in the transaction that fills it: only such a one is emptied.
"""

from __future__ import annotations

import json
import sys

from sqlalchemy import Connection, Table, create_engine, func, inspect, select, table, text
from sqlalchemy.exc import DBAPIError

from pogo.errors import Conflict, PogoError
from pogo.model import Base
from pogo.services import postgres, row_copy
from pogo.services.database import Database, migrate, revisions
from pogo.settings import Settings

MARK = "pogo: an unfinished copy of "
_fill = row_copy.fill


class NotCopied(PogoError):
    """The database cannot be copied."""


def copy(source: str, target: str, origin: str) -> dict[str, int]:
    """Number of rows of each table. Repeatable until `finish`. Raises UnusableDatabase, Conflict, NotCopied."""
    postgres.check(target)
    new = create_engine(postgres.driver_url(target), connect_args=postgres.connect_arguments())
    old = Database(source)
    try:
        with old.read() as session:
            present, newest = revisions(session.connection())
            if present != newest:
                raise NotCopied(f"The database has the schema {present}, not {newest}. Run bin/up first.")
        with new.connect() as connection:
            _refuse_foreign(connection, origin)
        migrate(target)
        with old.read() as session, new.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({postgres.WRITER})")
            _refuse_foreign(connection, origin)
            connection.exec_driver_sql(f"COMMENT ON TABLE alembic_version IS '{MARK}{origin}'")
            for one in reversed(Base.metadata.sorted_tables):
                connection.execute(one.delete())
            for one in Base.metadata.sorted_tables:
                _fill(session.connection(), connection, one)
        with old.read() as session, new.connect() as connection:
            return {one.name: _compare(session.connection(), connection, one) for one in Base.metadata.sorted_tables}
    except DBAPIError as error:
        raise NotCopied(f"Nothing was changed here: {str(error.orig).strip()}") from error
    finally:
        old.close()
        new.dispose()


def finish(target: str) -> None:
    """The copy is the database now: nobody may empty it any more."""
    engine = create_engine(postgres.driver_url(target), connect_args=postgres.connect_arguments())
    with engine.begin() as connection:
        connection.exec_driver_sql("COMMENT ON TABLE alembic_version IS NULL")
    engine.dispose()


def _refuse_foreign(connection: Connection, origin: str) -> None:
    """Raises Conflict unless the database is empty, or an unfinished copy of this installation."""
    present = set(inspect(connection).get_table_names())
    ours = {one.name for one in Base.metadata.sorted_tables}
    if foreign := sorted(present - ours - {"alembic_version"}):
        raise Conflict(f"The database is not empty: it has the table {foreign[0]}. Name an empty one.")
    if "alembic_version" in present:
        mark = connection.scalar(text("SELECT obj_description('alembic_version'::regclass)")) or ""
        if mark == MARK + origin:
            return
        if mark:
            raise Conflict("The database is being filled by another installation. Name an empty one.")
    for one in Base.metadata.sorted_tables:
        if one.name in present and connection.scalar(select(func.count()).select_from(table(one.name))):
            raise Conflict(f"The database is not empty: there are rows in {one.name}. Name an empty one.")


def _compare(old: Connection, new: Connection, one: Table) -> int:
    here, there = row_copy.digest(old, one), row_copy.digest(new, one)
    if here != there:
        raise NotCopied(
            f"The copy of {one.name} differs: {here[0]} rows here, {there[0]} there, and not the same. The platform"
            " goes on with SQLite."
        )
    return here[0]


def main() -> None:
    wishes = json.load(sys.stdin)
    try:
        if wishes["finish"]:
            finish(wishes["url"])
            print(json.dumps({"rows": {}}))
        else:
            print(json.dumps({"rows": copy(Settings().database, wishes["url"], wishes["origin"])}))
    except PogoError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
