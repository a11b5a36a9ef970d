"""Source archives that wait in the object store for their build."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from pogo.model import Build
from pogo.services.database import Database


def not_waited_for(db: Database, keys: Collection[str]) -> set[str]:
    """Those of the keys that no unfinished build has as its source."""
    with db.read() as session:
        needed = session.scalars(select(Build.source).where(Build.status == "pending"))
        return set(keys) - set(needed)
