"""How many dynos of which size an app has."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Formation, Release
from pogo.rules import sizes
from pogo.services import releases
from pogo.services.database import Database

QUANTITY = re.compile(r"[+-]?\d{1,5}")


@dataclass(frozen=True)
class FormationView:
    """A process type of the current release with its formation. quantity: dynos wanted."""

    row: Formation
    command: str


@dataclass(frozen=True)
class Change:
    """quantity: `3`, `+1`, `-1` or None (unchanged); size: any letter case or None."""

    type: str
    quantity: str | None = None
    size: str | None = None


def list_formation(db: Database, app: App) -> list[FormationView]:
    """Process types of the current release, `web` first, then by name.

    Heroku lists the release phase, too, as none of `release`: its CLI does not retry a release phase otherwise.
    """
    with db.read() as session:
        return _view(session, app)


def _view(session: Session, app: App) -> list[FormationView]:
    commands = _commands(releases.current(session, app.id))
    # Of the newest release, whatever became of it: what failed is what one wants to retry.
    phase = _commands(releases.latest(session, app.id)).get(releases.RELEASE_TYPE)
    commands = {type: command for type, command in commands.items() if type != releases.RELEASE_TYPE}
    rows = {row.type: row for row in session.scalars(select(Formation).where(Formation.app_id == app.id))}
    views = [FormationView(row, commands[type]) for type, row in rows.items() if type in commands]
    if phase is not None:
        views.append(FormationView(rows.get(releases.RELEASE_TYPE) or _release_row(app), phase))
    return sorted(views, key=lambda view: (view.row.type != "web", view.row.type))


def _release_row(app: App) -> Formation:
    """Of the release phase, in no table until its size is changed."""
    return Formation(
        id=str(uuid.uuid5(uuid.UUID(app.id), releases.RELEASE_TYPE)),
        app_id=app.id,
        type=releases.RELEASE_TYPE,
        quantity=0,
        size=sizes.DEFAULT_SIZE,
        created_at=app.created_at,
        updated_at=app.created_at,
    )


def _commands(release: Release | None) -> dict[str, str]:
    return release.slug.process_types if release and release.slug else {}


def find_formation(db: Database, app: App, type_or_id: str) -> FormationView:
    for view in list_formation(db, app):
        if type_or_id in (view.row.type, view.row.id):
            return view
    raise NotFound("formation", f"Couldn't find that process type ({type_or_id}).")


def scale(db: Database, app: App, changes: Sequence[Change]) -> list[FormationView]:
    """Apply all changes or none. Returns the changed types.

    NotFound: process type unknown. InvalidParams: no number, above 100 dynos, any of the release phase, no such size.
    """
    with db.write() as session:
        views = {view.row.type: view for view in _view(session, app)}
        for change in changes:
            view = views.get(change.type)
            if view is None:
                known = ", ".join(views) or "none: nothing is deployed yet"
                raise NotFound(
                    "formation", f"Couldn't find that process type ({change.type}). Types of this app: {known}."
                )
            if change.quantity is not None:
                view.row.quantity = _quantity(view.row, change.quantity)
            if change.size is not None:
                view.row.size = sizes.find_size(change.size).name
                session.add(view.row)
        return [views[type] for type in dict.fromkeys(change.type for change in changes)]


def _quantity(row: Formation, text: str) -> int:
    if not QUANTITY.fullmatch(text):
        raise InvalidParams(f"Quantity {text!r} of {row.type} is not valid: a number, or +n or -n.")
    wanted = row.quantity + int(text) if text[0] in "+-" else int(text)
    if row.type == releases.RELEASE_TYPE and wanted:
        raise InvalidParams("The release phase cannot be scaled: it runs once for each release.")
    if not 0 <= wanted <= sizes.MAX_DYNOS:
        raise InvalidParams(f"Cannot scale {row.type} to {wanted}: the number must be 0 to {sizes.MAX_DYNOS}.")
    return wanted
