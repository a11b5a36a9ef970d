"""Webhooks: who wants to be told of what, what there was to tell, and what became of telling it.

Without foreign keys to apps: that an app was destroyed is told when its row is gone already.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.base import Base, EncryptedJson, Record


class Webhook(Record, Base):
    """include: names of rules.webhooks. level: notify, sync. secret: signs what is sent.

    authorization: sent as this header. private: it may lie in this machine's network.
    """

    __tablename__ = "webhooks"

    app_id: Mapped[str] = mapped_column(index=True)
    url: Mapped[str] = mapped_column(EncryptedJson)
    include: Mapped[list[str]] = mapped_column(JSON)
    level: Mapped[str]
    secret: Mapped[str] = mapped_column(EncryptedJson)
    authorization: Mapped[str | None] = mapped_column(EncryptedJson)
    private: Mapped[bool] = mapped_column(default=False)


class WebhookEvent(Record, Base):
    """One change of one thing. data: as the API showed it then. previous: values before, of what was changed.

    seq: rises with time, nanoseconds. actor: {"id", "email"} of who did it.
    """

    __tablename__ = "webhook_events"

    app_id: Mapped[str] = mapped_column(index=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    include: Mapped[str]
    action: Mapped[str]
    actor: Mapped[dict[str, str]] = mapped_column(JSON)
    data: Mapped[dict[str, Any]] = mapped_column(EncryptedJson)
    previous: Mapped[dict[str, Any]] = mapped_column(EncryptedJson)


class WebhookDelivery(Record, Base):
    """An event on its way to a webhook. status: pending, retrying, succeeded, failed. next_at: None once it ended.

    attempt_*: the last one. code: HTTP status of its answer. error: why there is no answer.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_due", "webhook_id", "next_at"),)

    app_id: Mapped[str] = mapped_column(index=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"), index=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(default="pending")
    next_at: Mapped[datetime | None] = mapped_column(index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    attempt_id: Mapped[str | None]
    attempt_at: Mapped[datetime | None]
    code: Mapped[int | None]
    error: Mapped[str | None]
    webhook: Mapped[Webhook] = relationship(lazy="joined")
    event: Mapped[WebhookEvent] = relationship(lazy="joined")
