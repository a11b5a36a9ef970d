"""Checks of an app's web dynos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pogo.model import App
from pogo.rules import checks
from pogo.rules.checks import Checks
from pogo.services.database import Database


def change_checks(db: Database, app: App, changes: Mapping[str, Any]) -> Checks:
    """changes: fields of Checks; None for the default. InvalidParams: a value that cannot be."""
    with db.write() as session:
        row = session.get_one(App, app.id)
        changed = checks.change(checks.stored(row.checks), changes)
        row.checks = changed.kept()
        return changed
