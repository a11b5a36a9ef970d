"""`pogo admin:reclaim`: deletes at once what nothing needs any more, packs repositories, and says what that brought.

    python -m pogo.install.reclaim objects|repositories [caches]

That half runs as pogod's user, whose files these are, beside pogod or without it. pogod's own loop does the same from
time to time (loops.pruning): whatever is done twice is done once.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select

from pogo.backup.__main__ import OURS
from pogo.errors import PogoError
from pogo.git.repositories import Repositories
from pogo.install import backups
from pogo.install.progress import Say, line, step
from pogo.install.status import PLACES, in_bytes, size_of
from pogo.logs.transcripts import Transcripts
from pogo.loops import pruning
from pogo.model import App
from pogo.services.database import Database, load_keys
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.choice import open_store
from pogo.store.marks import foreign, own_mark

MODULE = "pogo.install.reclaim"
NAMES = {"store": "objects", "git": "repositories", "copies": "copies of objects", "transcripts": "output of builds"}


@dataclass(frozen=True)
class Held:
    """What pruning works on."""

    settings: Settings
    db: Database
    store: BlobStore
    transcripts: Transcripts


def reclaim(*, caches: bool, as_json: bool) -> None:
    """caches: those of all apps that are not being built, too. Raises PogoError for anyone but root."""
    settings, config = backups.here()
    if as_json:
        print(json.dumps(_reclaim(settings, config, caches, lambda _: None), indent=2))
        return
    with step("Reclaim") as say:
        found = _reclaim(settings, config, caches, say)
    for row in rows(found):
        line(row)


def _reclaim(settings: Settings, config: Path, caches: bool, say: Say) -> dict[str, Any]:
    """freed: bytes by place; a place that others write to meanwhile may have grown."""
    before = _places(settings)
    say("objects")
    wanted = ("caches",) if caches else ()
    objects = backups.as_pogod(settings, config, "objects", *wanted, module=MODULE)
    say("repositories")
    packed = backups.as_pogod(settings, config, "repositories", module=MODULE)
    after = _places(settings)
    freed = {name: before[name] - after[name] for name in PLACES if before[name] != after[name]}
    return {"freed": freed, "free": shutil.disk_usage(settings.state_dir).free, "objects": objects, **packed}


def rows(found: dict[str, Any]) -> Iterator[str]:
    """The report."""
    freed = {name: size for name, size in found["freed"].items() if size > 0}
    for name, size in sorted(freed.items(), key=lambda pair: -pair[1]):
        yield f"{in_bytes(size):>10}  {NAMES.get(name, name)}"
    objects = found["objects"]
    for kind, count in sorted(objects["before"].items()):
        if (gone := count - objects["after"].get(kind, 0)) > 0:
            yield f"{gone:>10}  of {count} {kind} deleted"
    yield f"{found['packed']:>10}  repositories packed"
    if objects["kept"]:
        yield f" !    Nothing is deleted from the object store: {objects['kept']}."
    for problem in found["problems"]:
        yield f" !    {problem}"
    said = f"Freed {in_bytes(sum(freed.values()))}" if freed else "Nothing to free"
    yield f"{said}; {in_bytes(found['free'])} are free."


def _places(settings: Settings) -> dict[str, int]:
    return {name: size_of(settings.state_dir / name) for name in PLACES}


def objects(settings: Settings, caches: bool) -> dict[str, Any]:
    """`before` and `after`: how many of each kind. kept: why none of them may be deleted, or ""."""
    load_keys(settings.state_dir / "keys" / "secrets.key")
    db, store = Database(settings.database), open_store(settings)
    try:
        held = Held(settings, db, store, Transcripts(settings.state_dir / "transcripts"))
        before = _kinds(store)
        pruning.prune(held)
        if caches:
            pruning.free_caches(held, lambda: False)
        return {"before": before, "after": _kinds(store), "kept": foreign(store, own_mark(settings.store_id))}
    finally:
        db.close()


def _kinds(store: BlobStore) -> dict[str, int]:
    return dict(Counter(key.partition("/")[0] for key in store.list("")))


def repositories(settings: Settings) -> dict[str, Any]:
    """One that cannot be packed does not keep the others from it."""
    db = Database(settings.database)
    try:
        with db.read() as session:
            apps = dict(session.execute(select(App.id, App.name).order_by(App.name)).tuples().all())
    finally:
        db.close()
    there = Repositories.existing(settings)
    packed, problems = 0, []
    for id, name in apps.items():
        if there.path(id).exists():
            try:
                there.pack(id)
                packed += 1
            except PogoError as error:
                problems.append(f"The repository of {name} could not be packed: {error.message}")
    return {"packed": packed, "problems": problems}


def main() -> None:
    settings, verb = Settings(), sys.argv[1]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))  # stdout is for the answer
    try:
        found = objects(settings, "caches" in sys.argv[2:]) if verb == "objects" else repositories(settings)
        print(json.dumps(found))
    except PogoError as error:
        print(error.message, file=sys.stderr)
        sys.exit(OURS)


if __name__ == "__main__":
    main()
