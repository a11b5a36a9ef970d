"""Who changed what: written in the very transaction that makes the change (services.database)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Result, delete, event, func, inspect, or_, select
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker

from pogo.errors import NotFound
from pogo.model import App, AuditEvent, User, utcnow

if TYPE_CHECKING:
    from pogo.services.database import Database

MOST = 200_000  # events that are kept, however young
MOST_CHANGES = 50  # of one event
_LONGEST = 500
# Rows that come and go by reading, by clients on their way in, or by this module.
_UNTOLD = frozenset(
    {
        "audit_events",
        "browser_logins",
        "dyno_days",
        "dyno_intervals",
        "failed_logins",
        "leases",
        "passkey_secrets",
        "webhook_deliveries",
        "webhook_events",
    }
)
_TRIFLES = frozenset({"backed_up", "last_login", "repo_size", "sign_count", "totp_step", "updated_at", "used_at"})


@dataclass
class Actor:
    """On whose behalf this thread of work is done. action: asked when something is written.

    user, app: filled in when they are known.
    """

    ip: str
    agent: str
    request_id: str
    action: Callable[[], str]
    user: User | None = None
    authorization_id: str | None = None
    app: App | None = None


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


def actor() -> Actor | None:
    return _actor.get()


@contextmanager
def acting(who: Actor | None) -> Iterator[None]:
    """What is written inside, also in threads begun there, is recorded as of this actor."""
    token = _actor.set(who)
    try:
        yield
    finally:
        _actor.reset(token)


def watch(sessions: sessionmaker[Any]) -> None:
    """Have the sessions remember what they change."""
    event.listen(sessions, "after_flush", _remember_flush)
    event.listen(sessions, "do_orm_execute", _remember_statement)


def _remember_flush(session: Session, context: object) -> None:
    for change, rows in (("create", session.new), ("update", session.dirty), ("destroy", session.deleted)):
        for row in rows:
            fields = _changed(row) if change == "update" else []
            _note_app(row)
            if change != "update" or fields:
                _remember(session, row.__tablename__, getattr(row, "id", None), change, fields)


def _note_app(row: Any) -> None:
    who = _actor.get()
    if who is not None and who.app is None and isinstance(row, App):
        who.app = row


def _changed(row: Any) -> list[str]:
    return sorted(one.key for one in inspect(row).attrs if one.history.has_changes() and one.key not in _TRIFLES)


def _remember_statement(state: ORMExecuteState) -> Result[Any] | None:
    change = "update" if state.is_update else "destroy" if state.is_delete else ""
    if not change or state.bind_mapper is None:
        return None
    result = state.invoke_statement()
    if getattr(result, "rowcount", 1):
        _remember(state.session, str(state.bind_mapper.local_table), None, change, [])
    return result


def _remember(session: Session, table: str, id: str | None, change: str, fields: list[str]) -> None:
    if table not in _UNTOLD:
        tell(session, table, id, change, fields)


def tell(session: Session, table: str, id: str | None, change: str, fields: list[str]) -> None:
    """Add something to the event of this transaction that is no change of a row."""
    if _actor.get() is not None:
        session.info.setdefault("changes", []).append({"type": table, "id": id, "change": change, "fields": fields})


def record(session: Session) -> None:
    """To be called before the commit: one event, if an actor changed anything."""
    who = _actor.get()
    if who is None:
        return
    session.flush()
    changes = session.info.pop("changes", [])
    if changes:
        session.add(
            AuditEvent(
                user_id=who.user.id if who.user else None,
                email=who.user.email if who.user else None,
                authorization_id=who.authorization_id,
                ip=who.ip[:_LONGEST],
                agent=who.agent[:_LONGEST],
                request_id=who.request_id[-_LONGEST:],
                action=who.action(),
                app=who.app.id if who.app else None,
                app_name=who.app.name if who.app else None,
                changes=changes[:MOST_CHANGES],
            )
        )


def events(db: Database, *, user: str | None = None, app: str | None = None, limit: int = 1000) -> list[AuditEvent]:
    """The newest events first. user: id or e-mail; app: id or name."""
    query = select(AuditEvent).order_by(AuditEvent.number.desc()).limit(limit)
    if user:
        query = query.where(or_(AuditEvent.user_id == user, AuditEvent.email == user.lower()))
    if app:
        query = query.where(or_(AuditEvent.app == app, AuditEvent.app_name == app))
    with db.read() as session:
        return list(session.scalars(query))


def find(db: Database, number: int) -> AuditEvent:
    with db.read() as session:
        found = session.get(AuditEvent, number)
    if found is None:
        raise NotFound("audit_event")
    return found


def prune(db: Database, days: int) -> None:
    """Forget events that are older, and the oldest beyond MOST."""
    with db.write() as session:
        newest = session.scalar(select(func.max(AuditEvent.number))) or 0
        old = or_(AuditEvent.created_at < utcnow() - timedelta(days=days), AuditEvent.number <= newest - MOST)
        session.execute(delete(AuditEvent).where(old))
