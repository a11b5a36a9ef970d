"""Features of apps."""

from __future__ import annotations

from sqlalchemy import select

from pogo.errors import NotFound
from pogo.model import App
from pogo.rules.features import FEATURES, Feature, is_on, switch
from pogo.services.database import Database


def find_feature(name_or_id: str, id_of: dict[str, str]) -> Feature:
    """id_of: the ids that the API shows, by name."""
    for name, feature in FEATURES.items():
        if name_or_id in (name, id_of[name]):
            return feature
    raise NotFound("feature", f"Couldn't find that feature ({name_or_id}).")


def switch_feature(db: Database, app: App, feature: Feature, *, on: bool) -> App:
    with db.write() as session:
        row = session.get_one(App, app.id)
        row.features = switch(feature.name, row.features, on=on)
        return row


def apps_with(db: Database, feature: str) -> set[str]:
    """Ids of the living apps where it is on."""
    with db.read() as session:
        rows = session.execute(select(App.id, App.features).where(App.destroyed_at.is_(None)))
        return {id for id, features in rows if is_on(feature, features)}
