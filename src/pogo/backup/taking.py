"""Takes a backup: as pogod's user, on the schedule or when the operator says so, one at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog
from sqlalchemy import text

import pogo
from pogo.backup import catalog, contents, recovery, seal, snapshot
from pogo.backup.catalog import Backup
from pogo.backup.contents import DATABASE, Manifest
from pogo.errors import Conflict, NotFound, PogoError, StorageFull
from pogo.services import postgres
from pogo.settings import CONFIG_FILE, Settings
from pogo.store import BlobStore
from pogo.store.marks import foreign, own_mark

log = structlog.get_logger()
SPARE = 64 << 20  # bytes that a backup leaves free
KEYS = ("secrets.key", "url.key", "mirror.key", "ssh_host_key")


class Refused(PogoError):
    """No backup was taken."""


class Taken(NamedTuple):
    """size: of the sealed object, in bytes. seconds: from the beginning to the end."""

    backup: Backup
    size: int
    seconds: float


def take(settings: Settings, store: BlobStore) -> Taken:
    """What fails leaves nothing. Raises Refused, Conflict, StorageFull, Unavailable, NotFound."""
    began = time.monotonic()
    if why := foreign(store, own_mark(settings.store_id)):
        raise Refused(f"No backup was taken: the store is not this installation's alone: {why}.")
    with _alone(settings.backups_dir):
        backup = catalog.new(datetime.now(UTC))
        work = settings.backups_dir / f"work-{backup.name}"
        work.mkdir(0o700)
        try:
            _check_space(settings)
            catalog.hold(store, backup, snapshot.slugs(settings.database))
            size = store.put(backup.key, _sealed(settings, store, backup, work))
        except BaseException:
            _forget(store, backup)
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
        catalog.tidy(store, settings.backups_kept, datetime.now(UTC))
    return Taken(backup, size, time.monotonic() - began)


def _sealed(settings: Settings, store: BlobStore, backup: Backup, work: Path) -> Iterator[bytes]:
    database = work / DATABASE
    snapshot.take(settings.database, database)
    with snapshot.reading(database) as connection:
        _hold_the_rest(store, backup, snapshot.slugs_in(connection))
        schema = str(connection.scalar(text("SELECT version_num FROM alembic_version")))
    files: dict[str, Path | bytes] = {DATABASE: database}
    keys = settings.state_dir / "keys"
    small = {f"keys/{name}": keys / name for name in KEYS}
    small |= {"keys/root.sealed": recovery.root_files(settings), "pogo.conf": Path(CONFIG_FILE)}
    small |= {"build.env": settings.state_dir / "build.env"}
    files |= {name: path.read_bytes() for name, path in small.items() if path.exists()}
    manifest = Manifest(
        version=pogo.__version__,
        schema=schema,
        taken_at=backup.at.isoformat(),
        installation=own_mark(settings.store_id),
        files={name: contents.entry(source) for name, source in files.items()},
    )
    yield from seal.sealed(recovery.public(settings), contents.packed(manifest, files))


def _hold_the_rest(store: BlobStore, backup: Backup, named: list[str]) -> None:
    """Slugs that were made after the list was: they are named now, and have to be there still."""
    before = catalog.held(store)
    catalog.hold(store, backup, named)
    for key in sorted(set(named) - before):
        try:
            store.size(key)
        except NotFound as error:
            raise Conflict(f"{key!r} was deleted while the backup was taken. Take another one.") from error


def _check_space(settings: Settings) -> None:
    if postgres.is_postgres(settings.database):
        return  # nobody knows its size here; a disk that gets full is told as such
    size = Path(settings.database.removeprefix("sqlite:///")).stat().st_size
    needed = size * (2 if settings.store.startswith("files:") else 1) + SPARE
    free = shutil.disk_usage(settings.backups_dir).free
    if free < needed:
        raise StorageFull(
            f"No backup was taken: it needs {needed >> 20} MB of free disk at {settings.backups_dir}, and there are"
            f" {free >> 20} MB."
        )


def _forget(store: BlobStore, backup: Backup) -> None:
    try:
        catalog.remove(store, backup)
    except PogoError as error:  # what was held for it goes in a day
        log.warning("an unfinished backup is left in the store", name=backup.name, error=error.message)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Raises Conflict while another one is being taken. What a killed one left goes."""
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("A backup is being taken already. Try again when it has ended.") from None
        for left in directory.glob("work-*"):
            shutil.rmtree(left)
        yield


def be_modest() -> None:
    """What serves people goes first."""
    os.nice(10)
