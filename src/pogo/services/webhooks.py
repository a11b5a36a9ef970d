"""Webhooks: subscriptions, and what becomes of deliveries. What is delivered, services.events writes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import delete, func, select

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Webhook, WebhookDelivery, WebhookEvent, utcnow
from pogo.model.base import new_id
from pogo.rules import webhooks as rules
from pogo.services.database import Database

Kept = TypeVar("Kept", WebhookDelivery, WebhookEvent)
Row = TypeVar("Row", Webhook, WebhookDelivery, WebhookEvent)
VERSION = "application/vnd.heroku+json; version=3"


@dataclass(frozen=True)
class Parcel:
    """One attempt to be made. attempt: its id. body: the payload."""

    delivery_id: str
    attempt: str
    url: str
    secret: str
    authorization: str | None
    private: bool
    body: dict[str, Any]


def list_webhooks(db: Database, app: App) -> list[Webhook]:
    with db.read() as session:
        return list(session.scalars(select(Webhook).where(Webhook.app_id == app.id).order_by(Webhook.created_at)))


def find_webhook(db: Database, app: App, id: str) -> Webhook:
    return _find(db, app, Webhook, id, "webhook")


def add_webhook(
    db: Database,
    app: App,
    url: str,
    include: Sequence[str],
    level: str,
    *,
    secret: str | None = None,
    authorization: str | None = None,
    private: bool,
) -> Webhook:
    """secret: one is made up where none is given. InvalidParams: nothing of that kind, too many."""
    rules.check(url, include, level)
    with db.write() as session:
        if (session.scalar(select(func.count()).where(Webhook.app_id == app.id)) or 0) >= rules.MOST:
            raise InvalidParams(f"The app has {rules.MOST} webhooks already, which is the most. Remove one.")
        row = Webhook(
            app_id=app.id,
            url=url,
            include=sorted(set(include)),
            level=level,
            secret=secret or secrets.token_hex(32),
            authorization=_header(authorization),
            private=private,
        )
        session.add(row)
        session.flush()
        return row


def change_webhook(db: Database, app: App, id: str, changes: dict[str, Any], *, private: bool) -> Webhook:
    """changes: url, include, level, secret, authorization. private: of who changes the url."""
    found = find_webhook(db, app, id)
    with db.write() as session:
        row = session.get_one(Webhook, found.id)
        rules.check(changes.get("url", row.url), changes.get("include", row.include), changes.get("level", row.level))
        if changes.get("url", row.url) != row.url:
            row.url, row.private = changes["url"], private
        row.include = sorted(set(changes.get("include", row.include)))
        row.level = changes.get("level", row.level)
        row.secret = changes.get("secret") or row.secret
        row.authorization = _header(changes.get("authorization", row.authorization))
        return row


def _header(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise InvalidParams("Authorization is invalid: it is sent as a header, so write printable ASCII.")
    return value or None


def remove_webhook(db: Database, app: App, id: str) -> Webhook:
    found = find_webhook(db, app, id)
    with db.write() as session:
        session.delete(session.get_one(Webhook, found.id))
    return found


def list_deliveries(db: Database, app: App) -> list[WebhookDelivery]:
    return _newest(db, app, WebhookDelivery)


def find_delivery(db: Database, app: App, id: str) -> WebhookDelivery:
    return _find(db, app, WebhookDelivery, id, "webhook delivery")


def list_events(db: Database, app: App) -> list[WebhookEvent]:
    return _newest(db, app, WebhookEvent)


def find_event(db: Database, app: App, id: str) -> WebhookEvent:
    return _find(db, app, WebhookEvent, id, "webhook event")


def _newest(db: Database, app: App, kind: type[Kept]) -> list[Kept]:
    """Oldest of them first."""
    with db.read() as session:
        query = select(kind).where(kind.app_id == app.id)
        return list(session.scalars(query.order_by(kind.seq.desc()).limit(rules.KEPT)))[::-1]


def _find(db: Database, app: App, kind: type[Row], id: str, what: str) -> Row:
    """NotFound, also where it is another app's."""
    with db.read() as session:
        found = session.get(kind, id)
    if found is None or found.app_id != app.id:
        raise NotFound(what.replace(" ", "_"), f"Couldn't find that {what}: {app.name} has no {what} {id}.")
    return found


def payload(event: WebhookEvent, delivery: WebhookDelivery | None = None, attempt: str | None = None) -> dict[str, Any]:
    """What is sent of an event, and shown of it. attempt: its id."""
    told: dict[str, Any] = {"event": {"id": event.id, "include": event.include}}
    if delivery is not None:
        told = {"attempt": {"id": attempt}, "delivery": {"id": delivery.id}, **told}
        told["webhook"] = {"id": delivery.webhook_id}
    return {
        "action": event.action,
        "actor": event.actor,
        "created_at": _time(event.created_at),
        "data": event.data,
        "id": event.id,
        "previous_data": event.previous,
        "published_at": _time(event.created_at),
        "resource": rules.resource_of(event.include),
        "sequence": str(event.seq),
        "updated_at": _time(event.updated_at),
        "version": VERSION,
        "webhook_metadata": told,
    }


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def earliest(db: Database) -> datetime | None:
    """When the next delivery is due; cheap while nothing was written since the last time."""
    return db.remembered(_earliest)


def _earliest(db: Database) -> datetime | None:
    with db.read() as session:
        return session.scalar(select(func.min(WebhookDelivery.next_at)))


def due(db: Database) -> list[str]:
    """Ids of the webhooks that have deliveries due, whoever waits longest first."""
    with db.read() as session:
        query = select(WebhookDelivery.webhook_id).where(WebhookDelivery.next_at <= utcnow())
        query = query.group_by(WebhookDelivery.webhook_id)
        return list(session.scalars(query.order_by(func.min(WebhookDelivery.next_at))))


def next_parcel(db: Database, webhook_id: str) -> Parcel | None:
    """The oldest delivery of a webhook that is due."""
    with db.read() as session:
        query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
        query = query.where(WebhookDelivery.next_at <= utcnow())
        row = session.scalar(query.order_by(WebhookDelivery.seq).limit(1))
    if row is None:
        return None
    hook, attempt = row.webhook, new_id()
    body = payload(row.event, row, attempt)
    return Parcel(row.id, attempt, hook.url, hook.secret, hook.authorization, hook.private, body)


def attempted(db: Database, parcel: Parcel, code: int | None, error: str | None, pause: float | None) -> bool:
    """Note an attempt. pause: seconds until the next one; None: it was the last, or the receiver has it."""
    now = utcnow()
    with db.write() as session:
        row = session.get(WebhookDelivery, parcel.delivery_id)
        if row is None or row.next_at is None:
            return False
        row.attempts, row.attempt_id, row.attempt_at = row.attempts + 1, parcel.attempt, now
        row.code, row.error = code, error[:200] if error else None
        delivered = code is not None and 200 <= code < 300
        row.status = "succeeded" if delivered else "failed"
        row.next_at = None
        if not delivered and pause is not None:
            row.status = "retrying"
            row.next_at = datetime.fromtimestamp(now.timestamp() + pause, now.tzinfo)
        return True


def history(db: Database, parcel: Parcel) -> tuple[str, int, datetime] | None:
    """Of a delivery: level, attempts so far, time of its event. None where it is gone."""
    with db.read() as session:
        row = session.get(WebhookDelivery, parcel.delivery_id)
        return (row.webhook.level, row.attempts, row.event.created_at) if row else None


def prune(db: Database) -> None:
    """Forget events beyond those that are listed, unless they wait for a delivery; and what destroyed apps left."""
    with db.write() as session:
        waiting = select(WebhookDelivery.event_id).where(WebhookDelivery.next_at.is_not(None))
        for app_id in list(session.scalars(select(WebhookEvent.app_id).distinct())):
            mine = select(WebhookEvent.seq).where(WebhookEvent.app_id == app_id)
            last = session.scalar(mine.order_by(WebhookEvent.seq.desc()).offset(rules.KEPT - 1).limit(1))
            there = session.scalar(select(App.id).where(App.id == app_id))
            old = WebhookEvent.seq < last if there and last else WebhookEvent.seq < 0 if there else WebhookEvent.seq > 0
            gone = delete(WebhookEvent).where(WebhookEvent.app_id == app_id, old, WebhookEvent.id.not_in(waiting))
            session.execute(gone, execution_options={"synchronize_session": False})
        busy = select(WebhookDelivery.webhook_id).where(WebhookDelivery.next_at.is_not(None))
        left = delete(Webhook).where(Webhook.app_id.not_in(select(App.id)), Webhook.id.not_in(busy))
        session.execute(left, execution_options={"synchronize_session": False})
