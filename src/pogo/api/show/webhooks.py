"""Webhooks as the Platform API shows them; and what they are told of things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pogo.api.show import apps, deploys
from pogo.api.show.shapes import app_ref, time
from pogo.model import (
    App,
    Build,
    Collaborator,
    Domain,
    Dyno,
    Formation,
    Release,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
)
from pogo.services import events, releases, webhooks
from pogo.services.formation import FormationView
from pogo.settings import Settings


def webhook(app: App, row: Webhook) -> dict[str, Any]:
    return {
        "app": app_ref(app),
        "created_at": time(row.created_at),
        "id": row.id,
        "include": row.include,
        "level": row.level,
        "updated_at": time(row.updated_at),
        "url": row.url,
    }


def delivery(row: WebhookDelivery) -> dict[str, Any]:
    attempt = {
        "code": row.code,
        "created_at": time(row.attempt_at),
        "error_class": row.error,
        "id": row.attempt_id,
        "status": "succeeded" if row.status == "succeeded" else "failed",
        "updated_at": time(row.attempt_at),
    }
    return {
        "created_at": time(row.created_at),
        "event": {"id": row.event_id, "include": row.event.include},
        "id": row.id,
        "last_attempt": attempt if row.attempt_id else None,
        "next_attempt_at": time(row.next_at),
        "num_attempts": row.attempts,
        "status": row.status,
        "updated_at": time(row.updated_at),
        "webhook": {"id": row.webhook_id, "level": row.webhook.level},
    }


def event(row: WebhookEvent) -> dict[str, Any]:
    return {
        "created_at": time(row.created_at),
        "id": row.id,
        "include": row.include,
        "payload": webhooks.payload(row),
        "updated_at": time(row.updated_at),
    }


def describer(settings: Settings) -> events.Describe:
    """How services.events is to describe what has changed: as the API shows it."""

    def describe(session: Session, row: Any, before: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        shown = _shown(settings, session, row)
        previous = dict(before)
        if isinstance(row, App) and "destroyed_at" in previous:
            del previous["destroyed_at"]
            shown["name"] = previous.pop("name")
        if isinstance(row, Dyno) and previous:
            previous = {"state": deploys.shown_state(previous["state"])}
            if previous["state"] == shown["state"]:
                return None
        return shown, {
            key: value for key, value in previous.items() if key in shown and not isinstance(shown[key], dict)
        }

    return describe


def _shown(settings: Settings, session: Session, row: Any) -> dict[str, Any]:
    if isinstance(row, App):
        live = releases.current(session, row.id)
        return apps.app(settings, row, live.slug.size if live and live.slug else None)
    app = session.get_one(App, row.app_id)
    if isinstance(row, Build):
        found = list(session.scalars(select(Build.id).where(Build.app_id == app.id).order_by(Build.created_at)))
        return deploys.build(settings, row, found.index(row.id) + 1)
    if isinstance(row, Release):
        live = releases.current(session, app.id)
        return deploys.release(settings, app, row, live.id if live else None)
    if isinstance(row, Formation):
        live = releases.current(session, app.id)
        types = live.slug.process_types if live and live.slug else {}
        return apps.formation(app, FormationView(row, types.get(row.type, "")))
    if isinstance(row, Collaborator):
        return apps.collaborator(app, row)
    if isinstance(row, Domain):
        return apps.domain(settings, app, row)
    if isinstance(row, Dyno):
        return deploys.dyno(app, row)
    return {"app": app_ref(app), "id": row.id, "name": row.name, "updated_at": time(row.updated_at)}
