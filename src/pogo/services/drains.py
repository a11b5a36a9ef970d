"""Log drains of apps."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, LogDrain
from pogo.rules import drains as rules
from pogo.services.database import Database


def list_drains(db: Database, app: App) -> list[LogDrain]:
    with db.read() as session:
        return list(session.scalars(select(LogDrain).where(LogDrain.app_id == app.id).order_by(LogDrain.created_at)))


def all_drains(db: Database) -> list[LogDrain]:
    """Those of all living apps."""
    with db.read() as session:
        living = select(LogDrain).join(App, App.id == LogDrain.app_id).where(App.destroyed_at.is_(None))
        return list(session.scalars(living))


def add_drain(db: Database, app: App, url: str, *, private: bool, position: str) -> LogDrain:
    """position: id of the line after which it begins. Raises InvalidParams: no address, there already, too many."""
    try:
        rules.parse_url(url)
    except rules.InvalidDrain as invalid:
        raise InvalidParams(str(invalid)) from None
    with db.write() as session:
        there = list(session.scalars(select(LogDrain).where(LogDrain.app_id == app.id)))
        if any(drain.url == url for drain in there):
            raise InvalidParams("Url has already been taken")
        if len(there) >= rules.MOST:
            raise InvalidParams(f"The app has {rules.MOST} log drains already, which is the most. Remove one.")
        drain = LogDrain(app_id=app.id, url=url, token=f"d.{uuid.uuid4()}", private=private, position=position)
        session.add(drain)
        session.flush()
        return drain


def find_drain(db: Database, app: App, identity: str) -> LogDrain:
    """By URL, token or id."""
    for drain in list_drains(db, app):
        if identity in (drain.url, drain.token, drain.id):
            return drain
    raise NotFound("log_drain", f"Couldn't find that log drain: {identity} is not a drain of {app.name}.")


def remove_drain(db: Database, app: App, identity: str) -> LogDrain:
    drain = find_drain(db, app, identity)
    with db.write() as session:
        session.delete(drain)
    return drain


def record_position(db: Database, id: str, position: str) -> None:
    """How far a drain's lines were delivered; nothing where it is gone."""
    with db.write() as session:
        if drain := session.get(LogDrain, id):
            drain.position = position
