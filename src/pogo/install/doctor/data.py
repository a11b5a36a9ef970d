"""Database and store of an installation, looked at as the user whose files they are.

python -m pogo.install.doctor.data   →   checks as JSON
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from pogo.install.doctor.check import Check, as_json, failed, guarded, ok, warning
from pogo.services.database import Database, revisions
from pogo.settings import Settings
from pogo.store.choice import open_store
from pogo.store.marks import foreign, own_mark
from pogo.store.s3 import S3Store

AREA = "Data"
WORRYING_SKEW = 60.0


def database(settings: Settings) -> Iterator[Check]:
    url = settings.database
    file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    if file is not None and not file.exists():
        yield failed(AREA, "database", f"{file} is not there", "Run bin/up: it makes one. Was it lost, restore it.")
        return
    began = time.monotonic()
    db = Database(url)
    try:
        with db.read() as session:
            if file is not None:
                wrong = [str(row[0]) for row in session.connection().exec_driver_sql("PRAGMA quick_check(5)")]
                yield integrity(file, [] if wrong == ["ok"] else wrong, time.monotonic() - began)
            yield schema(*revisions(session.connection()))
    finally:
        db.close()


def integrity(file: Path, wrong: list[str], seconds: float) -> Check:
    if wrong:
        advice = f"Stop the platform (bin/down) and restore it, or try: sqlite3 {file} .recover"
        return failed(AREA, "database", f"{file} is damaged: {'; '.join(wrong)}", advice)
    size = file.stat().st_size >> 20 if file.exists() else 0
    return ok(AREA, "database", f"is whole ({size} MB, looked through in {seconds:.1f} s)")


def schema(present: str | None, newest: str) -> Check:
    if present == newest:
        return ok(AREA, "schema", f"is the newest ({newest})")
    return failed(AREA, "schema", f"is {present or 'none'}, not {newest}", "Run bin/up: it migrates the database.")


def store(settings: Settings) -> Iterator[Check]:
    place = open_store(settings)
    key = f"doctor/{os.getpid()}"
    began = time.monotonic()
    place.put(key, [b"trial"])
    try:
        if place.local(key).read_bytes() != b"trial":
            yield failed(AREA, "store", "gives back something else than was put", "Look for errors of its disks")
            return
    finally:
        place.delete(key)
    took = time.monotonic() - began
    yield ok(AREA, "store", f"{settings.store} takes, gives and deletes ({took * 1000:.0f} ms)")
    if why := foreign(place, own_mark(settings.store_id)):
        yield warning(AREA, "store's mark", f"nothing is deleted there, and no backup taken: {why}", "docs/backups.md")
    if isinstance(place, S3Store):
        yield clock(place.client.skew())


def clock(seconds: float) -> Check:
    """S3 refuses requests from 15 minutes on."""
    if abs(seconds) < WORRYING_SKEW:
        return ok(AREA, "store's clock", "goes with ours")
    found = f"differs from ours by {abs(seconds):.0f} s; from 900 s on the store refuses us"
    return warning(AREA, "store's clock", found, "Set the clocks of both machines right (NTP).")


def main() -> None:
    settings = Settings()
    found = list(guarded(AREA, "database", lambda: database(settings)))
    print(as_json([*found, *guarded(AREA, "store", lambda: store(settings))]))


if __name__ == "__main__":
    main()
