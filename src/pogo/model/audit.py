"""Who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from pogo.model.base import Base, new_id, utcnow


class AuditEvent(Base):
    """One transaction that a person's call made. Nothing here refers to other rows: it outlives them.

    number: counts up. action: the operation, as `PATCH /apps/{app}/config-vars`; never a secret of the path.
    app: its id, app_name: its name then. changes: `[{"type", "id", "change", "fields"}]`, names and no values.
    """

    __tablename__ = "audit_events"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    user_id: Mapped[str | None] = mapped_column(index=True)
    email: Mapped[str | None]
    authorization_id: Mapped[str | None]
    ip: Mapped[str]
    agent: Mapped[str]
    request_id: Mapped[str]
    action: Mapped[str]
    app: Mapped[str | None] = mapped_column(index=True)
    app_name: Mapped[str | None]
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
