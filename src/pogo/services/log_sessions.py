"""Log sessions: a secret URL that shows a part of one app's log."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import delete, select

from pogo.errors import NotFound
from pogo.model import App, LogSession, utcnow
from pogo.services.database import Database
from pogo.services.people import sha256

LIFETIME = timedelta(minutes=5)  # to begin; a tail that runs may reconnect for a day
TAIL_LIFETIME = timedelta(days=1)
MAX_LINES = 1500  # Heroku: the last 1,500 lines are kept for retrieval


def open_session(
    db: Database, app: App, *, lines: int = 100, tail: bool = False, dyno: str = "", source: str = ""
) -> tuple[LogSession, str]:
    """The session and the secret that opens it."""
    secret = secrets.token_urlsafe(24)
    now = utcnow()
    with db.write() as session:
        session.execute(delete(LogSession).where(LogSession.expires_at < now))
        row = LogSession(
            app_id=app.id,
            secret_sha256=sha256(secret),
            lines=max(0, min(lines, MAX_LINES)),
            tail=tail,
            dyno=dyno,
            source=source,
            expires_at=now + (TAIL_LIFETIME if tail else LIFETIME),
        )
        session.add(row)
        session.flush()
        return row, secret


def find_session(db: Database, secret: str) -> LogSession:
    with db.read() as session:
        living = select(LogSession).join(App, App.id == LogSession.app_id).where(App.destroyed_at.is_(None))
        found = session.scalar(living.where(LogSession.secret_sha256 == sha256(secret)))
    if not found or found.expires_at < utcnow():
        raise NotFound("log session", "This log session has expired. Open a new one.")
    return found
