"""Secrets at rest under another key: `pogo admin:keys:rotate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Column, Table, and_, select, update

from pogo.errors import PogoError
from pogo.model import Base
from pogo.model.base import EncryptedJson
from pogo.services import row_copy
from pogo.services.database import Database

BATCH = 100


class UnknownKey(PogoError):
    """A secret cannot be read by any of the installation's keys."""


def keys_in(file: Path) -> list[str]:
    """The newest first: it encrypts, all decrypt."""
    return file.read_text().split()


def renew(db: Database, file: Path) -> int:
    """Encrypt by the newest key of the file what another one has encrypted; returns how many values.

    In small transactions, while others write: a value is replaced only where it is still what was read. Killed, it
    is called again. Who writes meanwhile has to know the newest key already. Raises UnknownKey.
    """
    texts = keys_in(file)
    newest, all_ = Fernet(texts[0]), MultiFernet([Fernet(one) for one in texts])
    changed = 0
    while found := sum(_renew_column(db, one, each, newest, all_) for one, each in _encrypted()):
        changed += found  # until a whole pass finds nothing left
    return changed


def _encrypted() -> list[tuple[Table, Column[Any]]]:
    return [
        (one, each)
        for one in Base.metadata.sorted_tables
        for each in one.columns
        if isinstance(each.type, EncryptedJson)
    ]


def _renew_column(db: Database, one: Table, each: Column[Any], newest: Fernet, all_: MultiFernet) -> int:
    raw = row_copy.raw(one)
    key = next(iter(one.primary_key.columns)).name
    value = raw.c[each.name]
    with db.read() as session:
        old = [id for id, data in session.execute(select(raw.c[key], value).where(value.is_not(None)))
               if not _is_under(newest, bytes(data))]  # fmt: skip
    changed = 0
    for at in range(0, len(old), BATCH):
        with db.write() as session:
            rows = session.execute(select(raw.c[key], value).where(raw.c[key].in_(old[at : at + BATCH]))).all()
            for id, data in rows:
                if data is None or _is_under(newest, bytes(data)):
                    continue
                try:
                    renewed = all_.rotate(bytes(data))
                except InvalidToken:
                    raise UnknownKey(
                        f"{one.name}.{each.name} of {id} can be read by none of the keys. Nothing was lost:"
                        " put the missing key back as a line of secrets.key."
                    ) from None
                session.execute(update(raw).where(and_(raw.c[key] == id, value == data)).values({each.name: renewed}))
                changed += 1
    return changed


def _is_under(key: Fernet, data: bytes) -> bool:
    try:
        key.decrypt(data)
    except InvalidToken:
        return False
    return True
