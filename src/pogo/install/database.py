"""What bin/up does in the database, run as pogod's user so that its files stay that user's.

    python -m pogo.install.database <wishes.json >found.json

Wishes: admin (e-mail), password (for a new admin; null: make none), token (of the caller; null: none),
label (of the token to make). Found: admin (whether there is one), password (whether the given one is his),
token (a new one where the given one is not valid; else null), apps (names).
Or the one wish schema_of (a database's URL), and what is found is its schema (null: none yet).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from pogo.errors import NotFound, PogoError, Unauthorized
from pogo.install import database_copy
from pogo.model import App, User
from pogo.services import people
from pogo.services.database import Database, load_keys, migrate, present_revision
from pogo.services.postgres import is_postgres
from pogo.settings import Settings


def prepare(settings: Settings, wishes: dict[str, Any]) -> dict[str, Any]:
    """Migrate, make the admin, renew the caller's token, as wished. Repeatable."""
    load_keys(settings.state_dir / "keys" / "secrets.key")
    migrate(settings.database)
    if is_postgres(settings.database):
        database_copy.finish(settings.database)  # in use, so nobody may empty it any more
    db = Database(settings.database)
    email, password = wishes["admin"], wishes["password"]
    try:
        admin = people.find_user(db, email)
    except NotFound:
        if password is None:
            return {"admin": False, "password": False, "token": None, "apps": []}
        admin = people.create_user(db, email, password, admin=True)
    with db.read() as session:
        apps = list(session.scalars(select(App.name)))
    return {
        "admin": True,
        "password": password is not None and _is_valid(lambda: people.check_password(db, email, password)),
        "token": _token(db, admin, wishes),
        "apps": apps,
    }


def _token(db: Database, admin: User, wishes: dict[str, Any]) -> str | None:
    given, label = wishes["token"], wishes["label"]
    if given and _is_valid(lambda: people.whose_token(db, given)):
        return None
    for old in people.list_authorizations(db, admin):
        if old.description == label:
            people.revoke(db, admin, old.id)
    return people.authorize(db, admin, label)[1]


def _is_valid(check: Callable[[], object]) -> bool:
    try:
        check()
    except Unauthorized:
        return False
    return True


def main() -> None:
    try:
        wishes = json.load(sys.stdin)
        if "schema_of" in wishes:
            print(json.dumps({"schema": present_revision(wishes["schema_of"])}))
        else:
            print(json.dumps(prepare(Settings(), wishes)))
    except PogoError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
