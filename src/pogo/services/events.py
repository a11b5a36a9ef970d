"""What there is to tell webhooks: seen in the sessions, written in the very transaction that makes the change.

So nothing is told that did not happen, and nothing is lost that did, whoever is killed when.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, func, inspect, select
from sqlalchemy.orm import Session, sessionmaker

from pogo.model import (
    App,
    Base,
    Build,
    Collaborator,
    Domain,
    Dyno,
    Formation,
    Release,
    SniEndpoint,
    User,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    utcnow,
)
from pogo.rules import webhooks as rules
from pogo.services import audit

Describe = Callable[[Session, Any, Mapping[str, Any]], tuple[dict[str, Any], dict[str, Any]] | None]
"""(session, row, values before) → what the API shows of the row, and of the values before; None: not worth telling."""


@dataclass
class Change:
    """row: or its class and id, where a statement changed it. before: of the fields that changed."""

    row: Any
    action: str
    before: dict[str, Any]


#: What is watched: events by their names, and the fields whose change is told (None: any).
_WATCHED: Mapping[type[Base], tuple[tuple[str, ...], frozenset[str] | None]] = {
    App: (
        ("api:app",),
        frozenset({"name", "maintenance", "stack", "build_stack", "owner_id", "team_id", "locked", "destroyed_at"}),
    ),
    Build: (("api:build",), frozenset({"status"})),
    Collaborator: (("api:collaborator",), frozenset({"permissions"})),
    Domain: (("api:domain",), None),
    Dyno: (("dyno", "api:dyno"), frozenset({"state"})),
    Formation: (("api:formation",), frozenset({"quantity", "size"})),
    Release: (("api:release",), frozenset({"status"})),
    SniEndpoint: (("api:sni-endpoint",), None),
}


def watch(sessions: sessionmaker[Any]) -> None:
    """Have the sessions remember what there is to tell."""
    event.listen(sessions, "after_flush", _remember_flush)


def _remember_flush(session: Session, context: object) -> None:
    for action, rows in (("create", session.new), ("update", session.dirty), ("destroy", session.deleted)):
        for row in rows:
            if type(row) in _WATCHED:
                before = _before(row) if action == "update" else {}
                if before or action != "update":
                    _remember(session, Change(row, action, before))


def _before(row: Any) -> dict[str, Any]:
    fields = _WATCHED[type(row)][1]
    found = {}
    for attribute in inspect(row).mapper.column_attrs:
        if attribute.key == "updated_at" or (fields is not None and attribute.key not in fields):
            continue
        history = inspect(row).attrs[attribute.key].history
        if history.has_changes():
            found[attribute.key] = history.deleted[0] if history.deleted else None
    return found


def touched(session: Session, model: type[Base], id: str, before: dict[str, Any]) -> None:
    """After an UPDATE statement, which sessions do not see: that it changed a row. before: values of then."""
    _remember(session, Change((model, id), "update", before))


def _remember(session: Session, change: Change) -> None:
    session.info.setdefault("told", []).append(change)


def record(session: Session, describe: Describe | None) -> None:
    """To be called before the commit: events, and their deliveries, for those who subscribed."""
    session.flush()
    changes: list[Change] = session.info.pop("told", [])
    if not changes or describe is None:
        return
    hooks: dict[str, list[Webhook]] = {}
    for hook in session.scalars(select(Webhook).where(Webhook.app_id.in_({_app_id(session, one) for one in changes}))):
        hooks.setdefault(hook.app_id, []).append(hook)
    if hooks:
        for change in _merged(session, changes):
            _tell(session, change, hooks.get(_app_id(session, change), []), describe)


def _app_id(session: Session, change: Change) -> str:
    if isinstance(change.row, tuple):
        model, id = change.row
        change.row = session.get(model, id, populate_existing=True)
    row = change.row
    return "" if row is None else str(row.id if isinstance(row, App) else row.app_id)


def _merged(session: Session, changes: list[Change]) -> list[Change]:
    """One change for each row, however often it was written."""
    found: dict[tuple[str, str], Change] = {}
    for change in changes:
        if change.row is None:
            continue
        key = (type(change.row).__name__, change.row.id)
        known = found.get(key)
        if known is None:
            found[key] = change
        elif change.action == "destroy":
            if known.action == "create":
                del found[key]
            else:
                found[key] = change
        else:
            known.before = {**change.before, **known.before}
    return list(found.values())


def _tell(session: Session, change: Change, hooks: list[Webhook], describe: Describe) -> None:
    includes, _ = _WATCHED[type(change.row)]
    if isinstance(change.row, App) and "destroyed_at" in change.before:
        change.action = "destroy"
    subscribed = {include for hook in hooks for include in hook.include}
    for include in includes:
        if include not in subscribed or (include == "api:dyno" and change.action != "create"):
            continue
        described = describe(session, change.row, change.before)
        if described is None:
            continue
        told = WebhookEvent(
            app_id=hooks[0].app_id,
            seq=time.time_ns(),
            include=include,
            action=change.action,
            actor=_actor(session, change.row),
            data=described[0],
            previous=described[1],
        )
        session.add(told)
        for hook in hooks:
            if include in hook.include:
                _queue(session, told, hook)


def _queue(session: Session, told: WebhookEvent, hook: Webhook) -> None:
    waiting = select(func.count()).where(WebhookDelivery.webhook_id == hook.id, WebhookDelivery.next_at.is_not(None))
    full = (session.scalar(waiting) or 0) >= rules.WAITING
    session.add(
        WebhookDelivery(
            app_id=hook.app_id,
            webhook=hook,
            event=told,
            seq=time.time_ns(),
            status="failed" if full else "pending",
            next_at=None if full else utcnow(),
            error=f"{rules.WAITING} deliveries wait already" if full else None,
        )
    )


def _actor(session: Session, row: Any) -> dict[str, str]:
    """Who did it: the caller; else whose build or release it is; else the app's owner."""
    who = audit.actor()
    user: User | None = who.user if who else None
    if user is None:
        user = getattr(row, "user", None) if not isinstance(row, Collaborator) else None
    if user is None:
        app = row if isinstance(row, App) else session.get(App, row.app_id)
        user = app.owner if app else None
    return {"id": user.id, "email": user.email} if user else {}
