"""Whether a backup is good: opened, migrated, every row and secret read, and its slugs looked for in the store."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alembic.script import ScriptDirectory
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, Select, create_engine, func, select

from pogo.backup.contents import CHUNK, DATABASE, Manifest
from pogo.backup.seal import Damaged, TooNew
from pogo.disk import full_disk_is_an_error
from pogo.errors import NotFound
from pogo.model import App, Base, Release, Slug
from pogo.model.base import EncryptedJson
from pogo.services import row_copy
from pogo.services.database import migrate, migrations
from pogo.store import BlobStore


@dataclass(frozen=True)
class Checked:
    """What was read: numbers of rows (in how many tables), secrets, apps, and slugs of current releases.

    missing: keys of those slugs that the store lacks, or has with another size or content, with what is wrong.
    """

    rows: int
    tables: int
    secrets: int
    apps: list[str]
    slugs: int
    missing: dict[str, str]


def check(directory: Path, manifest: Manifest, store: BlobStore, *, deep: bool) -> Checked:
    """directory: where the backup was unpacked; its database is brought to the schema of this version.

    deep: read the slugs, too, and compare their SHA-256. Raises Damaged, TooNew, StorageFull, Unavailable.
    """
    database = directory / DATABASE
    _check_schema(manifest)
    with full_disk_is_an_error():
        with closing(sqlite3.connect(database)) as raw:
            _whole(raw)
        migrate(f"sqlite:///{database}")
        with closing(sqlite3.connect(database)) as raw:
            raw.execute("PRAGMA journal_mode=DELETE")
    engine = create_engine(f"sqlite:///file:{database}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            rows = sum(row_copy.digest(connection, one)[0] for one in Base.metadata.sorted_tables)
            secrets = _decrypted(connection, directory / "keys" / "secrets.key")
            apps = sorted(connection.scalars(select(App.name)))
            slugs = {row.blob: row.size for row in connection.execute(_current_slugs())}
    finally:
        engine.dispose()
    missing = {key: wrong for key, size in slugs.items() if (wrong := _wrong(store, key, size, deep=deep))}
    return Checked(rows, len(Base.metadata.sorted_tables), secrets, apps, len(slugs), missing)


def _check_schema(manifest: Manifest) -> None:
    known = {one.revision for one in ScriptDirectory.from_config(migrations()).walk_revisions()}
    if manifest.schema not in known:
        raise TooNew(
            f"The backup was made by Pogoapp {manifest.version}, whose database (schema {manifest.schema}) this version"
            " does not know. Upgrade it first."
        )


def _whole(raw: sqlite3.Connection) -> None:
    try:
        found = [row[0] for row in raw.execute("PRAGMA integrity_check(3)")]
        broken = raw.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        raise Damaged(f"The database in the backup is damaged: {error}") from error
    if found != ["ok"]:
        raise Damaged(f"The database in the backup is damaged: {found[0]}")
    if broken:
        raise Damaged(f"The database in the backup is damaged: a row of {broken[0]} refers to one that is not there.")


def _decrypted(connection: Connection, keys: Path) -> int:
    """Number of secrets, each of which the keys of the backup open. Raises Damaged."""
    fernet = MultiFernet([Fernet(line) for line in keys.read_text().split()])
    total = 0
    for one in Base.metadata.sorted_tables:
        raw = row_copy.raw(one)
        for column in one.columns:
            if not isinstance(column.type, EncryptedJson):
                continue
            for (value,) in connection.execute(select(raw.c[column.name])):
                if value is None:
                    continue
                try:
                    fernet.decrypt(bytes(value))
                except InvalidToken:
                    raise Damaged(f"The keys in the backup do not open {one.name}.{column.name}.") from None
                total += 1
    return total


def _current_slugs() -> Select[str, int]:
    newest = (
        select(Release.app_id, func.max(Release.version).label("version"))
        .where(Release.status == "succeeded")
        .group_by(Release.app_id)
        .subquery()
    )
    current = (Release.app_id == newest.c.app_id) & (Release.version == newest.c.version)
    return select(Slug.blob, Slug.size).join(Release, Release.slug_id == Slug.id).join(newest, current)


def _wrong(store: BlobStore, key: str, size: int, *, deep: bool) -> str:
    if not key:
        return "it was deleted before the backup"
    try:
        there = store.size(key)
        if there != size:
            return f"it has {there} bytes instead of {size}"
        if deep and _digest(store, key) != key.partition("/")[2][:64]:
            return "its content is not what was stored"
    except NotFound:
        return "the store lacks it"
    return ""


def _digest(store: BlobStore, key: str) -> str:
    found = hashlib.sha256()
    with store.open(key) as file:
        while piece := file.read(CHUNK):
            found.update(piece)
    return found.hexdigest()
