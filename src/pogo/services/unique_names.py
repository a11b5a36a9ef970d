"""Names that one pipeline, or one team, of the whole platform has."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams
from pogo.model import Pipeline, Team
from pogo.services.database import Database

Named = TypeVar("Named", Pipeline, Team)


def check_free(session: Session, kind: type[Named], name: str) -> None:
    """Raises InvalidParams."""
    if session.scalar(select(kind.id).where(kind.name == name)):
        raise InvalidParams(f"Name {name} of a {kind.__name__.lower()} is already taken.")


def rename(db: Database, named: Named, name: str) -> Named:
    """InvalidParams: taken."""
    with db.write() as session:
        row = session.get_one(type(named), named.id)
        if name != row.name:
            check_free(session, type(named), name)
            row.name = name
        return row
