"""What all shown resources are made of."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, overload

from pogo.model import App, User

_NAMESPACE = uuid.UUID("5f6f2d3c-0f4b-5c0e-9c5e-6a2f6f3f9a10")


@overload
def time(at: datetime) -> str: ...
@overload
def time(at: datetime | None) -> str | None: ...
def time(at: datetime | None) -> str | None:
    """`2026-11-23T12:00:00Z`"""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def stable_id(kind: str, name: str) -> str:
    """The same UUID on every installation, for things that are not in the database, such as stacks."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{name}"))


def named(kind: str, name: str) -> dict[str, Any]:
    """`{"id", "name"}` of something that is not in the database."""
    return {"id": stable_id(kind, name), "name": name}


def app_ref(app: App) -> dict[str, Any]:
    return {"id": app.id, "name": app.name}


def user_ref(user: User) -> dict[str, Any]:
    return {"id": user.id, "email": user.email}
