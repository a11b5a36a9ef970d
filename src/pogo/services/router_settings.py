"""How the router treats the requests of an app: what is kept with it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import LargeBinary, select, type_coerce
from sqlalchemy.orm import Session

from pogo.model import App
from pogo.model.base import EncryptedJson
from pogo.router import Options
from pogo.rules import router_settings as rules
from pogo.rules.features import AFFINITY, is_on
from pogo.rules.router_settings import RouterSettings
from pogo.services.database import Database


def change_settings(db: Database, app: App, changes: Mapping[str, Any]) -> RouterSettings:
    """changes: fields of RouterSettings; None for the default. InvalidParams: a value that cannot be."""
    with db.write() as session:
        row = session.get_one(App, app.id)
        changed = rules.change(rules.stored(row.router), changes)
        row.router = changed.kept() or None
        return changed


def read_options(session: Session) -> dict[str, Options]:
    """App id → what the router is told, of all apps. What is encrypted is read once as long as it stays the same."""
    columns = (App.id, App.features, type_coerce(App.router, LargeBinary), type_coerce(App.config, LargeBinary))
    return {
        id: _options(is_on(AFFINITY, on), router, config)
        for id, on, router, config in session.execute(select(*columns))
    }


@lru_cache(maxsize=8192)
def _options(affinity: bool, router: bytes | None, config: bytes | None) -> Options:
    variables = EncryptedJson.decrypted(config) or {}
    return rules.options(
        rules.stored(EncryptedJson.decrypted(router)),
        affinity=affinity,
        error=rules.page(variables, rules.ERROR_PAGE),
        maintenance=rules.page(variables, rules.MAINTENANCE_PAGE),
    )
