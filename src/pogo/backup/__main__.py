"""`python -m pogo.backup take|list|load|apps|encrypt`, run as pogod's user, whose files database and store are.

What was found is printed as JSON. An error of ours is told on stderr, with the status 3.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pogo.backup import catalog, record, snapshot, taking
from pogo.errors import PogoError
from pogo.model import App
from pogo.services import encryption
from pogo.services.database import Database
from pogo.settings import Settings
from pogo.store.choice import open_store

OURS = 3


def take(settings: Settings, _: list[str]) -> dict[str, Any]:
    taking.be_modest()
    try:
        done = taking.take(settings, open_store(settings))
    except PogoError as error:
        record.failed(settings, error.message)
        raise
    record.good(settings, done.backup.name, done.backup.at, done.size, done.seconds)
    return {"name": done.backup.name, "size": done.size, "seconds": done.seconds}


def list_(settings: Settings, _: list[str]) -> list[dict[str, Any]]:
    store = open_store(settings)
    rows = []
    for one in catalog.all_of(store):
        rows.append({"name": one.name, "taken_at": one.at.isoformat(), "size": store.size(one.key)})
    return rows


def load(settings: Settings, arguments: list[str]) -> dict[str, Any]:
    snapshot.load(Path(arguments[0]), settings.database)
    return {}


def apps(settings: Settings, _: list[str]) -> list[str]:
    db = Database(settings.database)
    try:
        with db.read() as session:
            return sorted(session.scalars(select(App.name)))
    finally:
        db.close()


def encrypt(settings: Settings, _: list[str]) -> dict[str, Any]:
    db = Database(settings.database)
    try:
        return {"changed": encryption.renew(db, settings.state_dir / "keys" / "secrets.key")}
    finally:
        db.close()


VERBS = {"take": take, "list": list_, "load": load, "apps": apps, "encrypt": encrypt}


def main() -> None:
    try:
        print(json.dumps(VERBS[sys.argv[1]](Settings(), sys.argv[2:])))
    except PogoError as error:
        print(error.message, file=sys.stderr)
        sys.exit(OURS)


if __name__ == "__main__":
    main()
