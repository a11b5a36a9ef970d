"""Dynos: what users ask of them, and what the loops record about them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Dyno, Formation, Release, utcnow
from pogo.model.base import new_id
from pogo.rules import sizes
from pogo.services import audit, events, releases, usage
from pogo.services.database import Database
from pogo.services.people import sha256

DAY = 86_400
GONE = ("complete",)


@dataclass(frozen=True)
class RunRequest:
    """A one-off dyno. ttl: seconds it may live, at most a day. tty: (rows, columns) or None for pipes."""

    command: str
    attach: bool = False
    type: str = "run"
    size: str | None = None
    env: Mapping[str, str] | None = None
    ttl: int = DAY
    tty: tuple[int, int] | None = None


def list_dynos(db: Database, app: App) -> list[Dyno]:
    """Living dynos by type and number. During a switch, the newest of each name only."""
    with db.read() as session:
        query = select(Dyno).where(Dyno.app_id == app.id, Dyno.state.not_in(GONE)).order_by(Dyno.created_at)
        newest = {dyno.name: dyno for dyno in session.scalars(query)}
    return sorted(newest.values(), key=lambda dyno: (dyno.type, dyno.number))


def find_dyno(db: Database, app: App, name_or_id: str) -> Dyno:
    for dyno in list_dynos(db, app):
        if name_or_id in (dyno.name, dyno.id):
            return dyno
    raise NotFound("dyno", f"Couldn't find that dyno ({name_or_id}).")


def run(db: Database, app: App, request: RunRequest) -> tuple[Dyno, str]:
    """A one-off dyno of the current release, and the secret that attaches to it ("" when detached).

    A command that is the name of a process type runs that type's command. InvalidParams: nothing
    is deployed, the command is empty, or the size unknown.
    """
    if not request.command.strip():
        raise InvalidParams("A one-off dyno needs a command, such as bash.")
    size = sizes.find_size(request.size or sizes.DEFAULT_SIZE).name
    secret = secrets.token_urlsafe(24) if request.attach else ""
    now = utcnow()
    with db.write() as session:
        release = releases.current(session, app.id)
        if release is None or release.slug is None:
            raise InvalidParams(f"Cannot run a command: {app.name} has no code yet. Deploy it first by git push.")
        first, _, rest = request.command.partition(" ")
        command = release.slug.process_types.get(first)
        taken = set(session.scalars(select(Dyno.number).where(Dyno.app_id == app.id, Dyno.type == request.type)))
        number = next(n for n in iter(lambda: 1000 + secrets.randbelow(9000), 0) if n not in taken)
        dyno = Dyno(
            app_id=app.id,
            release=release,
            kind="run",
            type=request.type,
            number=number,
            size=size,
            command=f"{command} {rest}".strip() if command else request.command,
            env=dict(request.env or {}),
            state_at=now,
            expires_at=now + timedelta(seconds=max(1, min(request.ttl, DAY))),
            attach=request.attach,
            tty_rows=request.tty[0] if request.tty else None,
            tty_columns=request.tty[1] if request.tty else None,
            attach_sha256=sha256(secret) if secret else None,
        )
        session.add(dyno)
        session.flush()
        audit.tell(session, "dynos", dyno.id, "run", [dyno.name])
        return dyno, secret


def claim_attach(db: Database, secret: str) -> Dyno:
    """The dyno that the secret attaches to; it works once. NotFound for a wrong or used one."""
    with db.write() as session:
        dyno = session.scalar(select(Dyno).where(Dyno.attach_sha256 == sha256(secret)))
        if not dyno:
            raise NotFound("dyno", "This attach URL is not valid, or was used already.")
        dyno.attach_sha256 = None
        return dyno


def retire(db: Database, app: App, why: str, *, type: str | None = None, name: str | None = None) -> int:
    """Replace (`replaced`: restart) or stop (`stopped`) dynos: all, one type, or one. How many.

    One-off dynos that are named, or of a named type, are stopped in both cases.
    """
    with db.write() as session:
        count = 0
        for dyno in session.scalars(select(Dyno).where(Dyno.app_id == app.id, Dyno.state.not_in(GONE))):
            if (name and name not in (dyno.name, dyno.id)) or (type and type != dyno.type):
                continue
            if dyno.kind == "formation":
                if dyno.retired is None and (dyno.state != "down" or why == "replaced"):
                    dyno.retired = why
                count += 1
            elif dyno.kind == "run" and (name or type):
                dyno.expires_at = utcnow()
                count += 1
        if not count and name:
            raise NotFound("dyno", f"Couldn't find that dyno ({name}).")
        return count


def new_container(dyno_type: str) -> str:
    """A container id, never used before, that tells an operator what it is: `web-3f9c…`."""
    readable = "".join(c for c in dyno_type.lower() if c.isalnum())[:12] or "dyno"
    return f"{readable}-{secrets.token_hex(6)}"


def create(db: Database, values: Collection[Mapping[str, Any]]) -> None:
    """Add formation dynos (fields of model.Dyno)."""
    now = utcnow()
    with db.write() as session:
        session.add_all([Dyno(id=new_id(), kind="formation", state_at=now, **value) for value in values])


def change(db: Database, dyno_id: str, expected: str, *, ended_at: datetime | None = None, **values: Any) -> bool:
    """Change a dyno that is still in the state `expected`. False: somebody else was first; do nothing.

    A new state gets its time. ended_at: when its container ended, where that is known (services.usage).
    """
    if values.get("state", expected) != expected:
        values["state_at"] = utcnow()
    with db.write() as session:
        mine = (Dyno.id == dyno_id, Dyno.state == expected)
        query = update(Dyno).where(*mine).values(updated_at=utcnow(), **values).returning(Dyno.id)
        done = session.scalar(query) is not None
        if done:
            usage.changed(session, dyno_id, values, ended_at)
        if done and "state" in values:
            events.touched(session, Dyno, dyno_id, {"state": expected})
        return done


def come_up(db: Database, dyno_id: str, container: str) -> Dyno | None:
    """Record that a starting dyno is up; None: it was told to go meanwhile, or is in another container."""
    with db.write() as session:
        dyno = session.get(Dyno, dyno_id)
        if dyno is None or dyno.state != "starting" or dyno.retired or dyno.container != container:
            return None
        dyno.state, dyno.state_at = "up", utcnow()
        return dyno


def replace_sick(
    db: Database, dyno_id: str, *, restarts: int, next_start: datetime | None, crash: Mapping[str, Any]
) -> bool:
    """Drain a dyno that is up, and put a successor into its place, at once or, with next_start, then.

    False: it is not up any more, or was told to go meanwhile; nothing is changed. restarts, crash: of the successor.
    """
    with db.write() as session:
        dyno = session.get(Dyno, dyno_id)
        if dyno is None or dyno.state != "up" or dyno.retired:
            return False
        dyno.state, dyno.state_at, dyno.retired = "draining", utcnow(), "sick"
        successor = Dyno(
            app_id=dyno.app_id,
            release_id=dyno.release_id,
            kind=dyno.kind,
            type=dyno.type,
            number=dyno.number,
            size=dyno.size,
            command=dyno.command,
            state="crashed" if next_start else "starting",
            state_at=utcnow(),
            restarts=restarts,
            next_start=next_start,
            crash=dict(crash),
        )
        session.add(successor)
        return True


def stop_deadline(grace: float) -> datetime:
    """When a process that is told to stop now gets SIGKILL. grace: seconds."""
    return utcnow() + timedelta(seconds=grace)


def forget(db: Database, dyno_id: str, ended_at: datetime | None = None) -> None:
    """ended_at: as in `change`."""
    with db.write() as session:
        dyno = session.get(Dyno, dyno_id)
        if dyno:
            usage.end(session, dyno_id, ended_at)
            session.delete(dyno)


def get_dyno(db: Database, dyno_id: str) -> Dyno | None:
    with db.read() as session:
        return session.get(Dyno, dyno_id)


def start_release_phase(db: Database, release_id: str) -> Dyno | None:
    """The dyno of the release phase, made once. None when the release is not pending any more."""
    with db.write() as session:
        release = session.get(Release, release_id)
        if release is None or release.status != "pending" or release.slug is None:
            return None
        query = select(Dyno).where(Dyno.release_id == release_id, Dyno.kind == "release")
        dyno = session.scalar(query)
        if dyno is None:
            dyno = Dyno(
                app_id=release.app_id,
                release=release,
                kind="release",
                type="release",
                number=1000 + secrets.randbelow(9000),
                size=_phase_size(session, release.app_id),
                command=release.slug.process_types[releases.RELEASE_TYPE],
                state_at=utcnow(),
                expires_at=utcnow() + timedelta(hours=1),  # Heroku: a release phase may take one hour
            )
            session.add(dyno)
            session.flush()
        return dyno


def _phase_size(session: Session, app_id: str) -> str:
    """What `ps:type release=…` has chosen."""
    query = select(Formation.size).where(Formation.app_id == app_id, Formation.type == releases.RELEASE_TYPE)
    return session.scalar(query) or sizes.DEFAULT_SIZE
