"""Rows of one database put into another one of the same schema, as they are stored: between SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    table,
)
from sqlalchemy.sql.expression import TableClause

from pogo.model.base import EncryptedJson

BATCH = 500


def raw(one: Table) -> TableClause:
    """The table with what is stored: secrets stay encrypted, and JSON is the text that it is."""
    return table(one.name, *(column(each.name, _raw_type(each)) for each in one.columns))


def _raw_type(each: Column[Any]) -> Any:
    if isinstance(each.type, EncryptedJson):
        return each.type.impl
    return Text() if isinstance(each.type, JSON) else each.type


def rows(connection: Connection, one: Table) -> Iterator[tuple[Any, ...]]:
    there = raw(one)
    shown = [
        cast(there.c[each.name], Text) if isinstance(each.type, JSON) else there.c[each.name] for each in one.columns
    ]
    query = select(*shown).order_by(*(there.c[each.name] for each in one.primary_key.columns))
    for row in connection.execution_options(yield_per=BATCH).execute(query):
        yield tuple(row)


def fill(old: Connection, new: Connection, one: Table) -> None:
    """Put all rows of a table into the empty one of the same name."""
    # SQLite has no type JSON: a cast would make numbers of the text.
    typed = new.dialect.name == "postgresql"
    values = {
        each.name: cast(bindparam(each.name, type_=Text()), JSON)
        if typed and isinstance(each.type, JSON)
        else bindparam(each.name, type_=_raw_type(each))
        for each in one.columns
    }
    statement = insert(raw(one)).values(values)
    names = [each.name for each in one.columns]
    batch: list[dict[str, Any]] = []
    for row in rows(old, one):
        batch.append(dict(zip(names, row, strict=True)))
        if len(batch) == BATCH:
            new.execute(statement, batch)
            batch = []
    if batch:
        new.execute(statement, batch)
    counted = one.autoincrement_column
    if typed and counted is not None and isinstance(counted.type, Integer):
        highest = new.scalar(select(func.max(column(counted.name))).select_from(table(one.name)))
        if highest is not None:
            new.execute(select(func.setval(func.pg_get_serial_sequence(one.name, counted.name), highest)))


def digest(connection: Connection, one: Table) -> tuple[int, str]:
    """Number of rows, and the SHA-256 of all their values."""
    total, found = 0, hashlib.sha256()
    for row in rows(connection, one):
        total += 1
        found.update(json.dumps([_value(value) for value in row]).encode() + b"\n")
    return total, found.hexdigest()


def _value(value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return value.timestamp()
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
