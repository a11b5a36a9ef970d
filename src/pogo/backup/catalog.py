"""Which backups are in a store, and which slugs they need there.

`backups/<name>` is a backup, `held/<name>` the keys of the objects that its releases name, a line each: garbage
collection leaves those alone. It is written before the database is read, and goes after its backup.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pogo.errors import NotFound
from pogo.store import BlobStore

BACKUPS = "backups/"
HELD = "held/"
UNFINISHED = timedelta(days=1)
_NAME = re.compile(r"(\d{8}t\d{6}z)-[0-9a-f]{8}")


@dataclass(frozen=True, order=True)
class Backup:
    """name: begins with the moment, so that names are in the order of time."""

    name: str

    @property
    def at(self) -> datetime:
        return datetime.strptime(self.name.partition("-")[0], "%Y%m%dt%H%M%Sz").replace(tzinfo=UTC)

    @property
    def key(self) -> str:
        return f"{BACKUPS}{self.name}"


def new(now: datetime) -> Backup:
    return Backup(f"{now.astimezone(UTC):%Y%m%dt%H%M%Sz}-{secrets.token_hex(4)}")


def all_of(store: BlobStore) -> list[Backup]:
    """The oldest first."""
    return _named(store, BACKUPS)


def find(store: BlobStore, name: str) -> Backup:
    """By its name; the newest one for "". Raises NotFound."""
    there = all_of(store)
    if name:
        there = [one for one in there if one.name == name.removeprefix(BACKUPS)]
    if not there:
        named = f"no backup {name!r}" if name else "no backup"
        raise NotFound("backup", f"There is {named} in the store. pogo admin:backups lists them.")
    return there[-1]


def _named(store: BlobStore, prefix: str) -> list[Backup]:
    names = (key.removeprefix(prefix) for key in store.list(prefix))
    return sorted(Backup(name) for name in names if _NAME.fullmatch(name))


def hold(store: BlobStore, backup: Backup, keys: list[str]) -> None:
    store.put(f"{HELD}{backup.name}", ["".join(f"{key}\n" for key in sorted(keys)).encode()])


def held(store: BlobStore) -> set[str]:
    """Keys of objects that a backup needs, also one that is being taken. To be asked right before deleting."""
    found: set[str] = set()
    for backup in _named(store, HELD):
        try:
            with store.open(f"{HELD}{backup.name}") as file:
                found.update(file.read().decode().split())
        except NotFound:
            continue
    return found


def superfluous(backups: list[Backup], kept: int) -> list[Backup]:
    return sorted(backups)[:-kept]


def remove(store: BlobStore, backup: Backup) -> None:
    store.delete(backup.key)
    store.delete(f"{HELD}{backup.name}")


def tidy(store: BlobStore, kept: int, now: datetime) -> None:
    """Remove backups beyond the `kept` newest, and what was held for one that never came."""
    there = all_of(store)
    for backup in superfluous(there, kept):
        remove(store, backup)
    for backup in set(_named(store, HELD)) - set(there):
        if now - backup.at > UNFINISHED:
            remove(store, backup)
