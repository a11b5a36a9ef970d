"""SSH public keys of users."""

from __future__ import annotations

from sqlalchemy import func, select

from pogo.errors import InvalidParams, NotFound
from pogo.model import Key, User
from pogo.rules import ssh_keys
from pogo.services.database import Database

MOST = 100


def list_keys(db: Database, user: User) -> list[Key]:
    with db.read() as session:
        return list(session.scalars(select(Key).where(Key.user_id == user.id).order_by(Key.created_at, Key.id)))


def find_key(db: Database, user: User, id_or_fingerprint: str) -> Key:
    for key in list_keys(db, user):
        if id_or_fingerprint.lower() in (key.id, key.fingerprint):
            return key
    raise NotFound("key")


def add_key(db: Database, user: User, text: str) -> Key:
    """InvalidParams for what is no key, for one that is there already, and beyond MOST keys."""
    parsed = ssh_keys.parse(text)
    with db.write() as session:
        mine = select(Key.id).where(Key.user_id == user.id)
        if session.scalar(mine.where(Key.fingerprint == parsed.fingerprint)):
            raise InvalidParams("You have this key already.")
        if (session.scalar(select(func.count()).select_from(mine.subquery())) or 0) >= MOST:
            raise InvalidParams(f"An account has at most {MOST} keys. Remove one first: pogo keys:remove")
        owner = session.get_one(User, user.id)
        key = Key(user=owner, public_key=parsed.key, comment=parsed.comment, fingerprint=parsed.fingerprint)
        session.add(key)
        session.flush()
        return key


def remove_key(db: Database, user: User, id_or_fingerprint: str) -> Key:
    found = find_key(db, user, id_or_fingerprint)
    with db.write() as session:
        row = session.get(Key, found.id)
        if row is not None:
            session.delete(row)
        return found
