"""Builds: queued, claimed, succeeded or failed. `git push` and the API enter at the same `start_build`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Build, Release, Slug, User, utcnow
from pogo.rules import build_queue, names
from pogo.rules.build_queue import Started
from pogo.services import events, uploads
from pogo.services.database import Database, now
from pogo.services.releases import add_release

CLAIM = timedelta(seconds=20)
PUSHED = "sources/push-"
"""How the keys of sources begin that came by git."""


def start_build(
    db: Database, app: App, user: User, source: str, source_version: str | None, buildpacks: Sequence[str] | None = None
) -> Build:
    """Queue a build of the source archive stored under the key `source`. buildpacks: for this build instead."""
    with db.write() as session:
        row = session.get_one(App, app.id)
        build = Build(
            app=row,
            user=session.get_one(User, user.id),
            source=source,
            source_version=source_version,
            stack=row.build_stack,
            buildpacks=row.buildpacks if buildpacks is None else list(buildpacks),
        )
        session.add(build)
        session.flush()
        return build


def find_build(db: Database, app: App, build_id: str) -> Build:
    """By UUID, or by number: the app's first build is 1."""
    with db.read() as session:
        if build_id.isdecimal() and len(build_id) < 10:
            query = select(Build).where(Build.app_id == app.id).order_by(Build.created_at, Build.id)
            found = session.scalar(query.offset(int(build_id) - 1).limit(1)) if int(build_id) else None
        else:
            found = session.get(Build, build_id)
    if not found or found.app_id != app.id:
        raise NotFound("build", f"Couldn't find that build: {app.name} has no build {build_id}.")
    return found


def build_number(db: Database, build: Build) -> int:
    """Which build of its app it is, from 1 on."""
    with db.read() as session:
        before = Build.created_at < build.created_at
        same = (Build.created_at == build.created_at) & (Build.id < build.id)
        query = select(func.count()).where(Build.app_id == build.app_id, or_(before, same))
        return (session.scalar(query) or 0) + 1


def get_build(db: Database, build_id: str) -> Build | None:
    with db.read() as session:
        return session.get(Build, build_id)


def list_builds(db: Database, app: App) -> list[Build]:
    with db.read() as session:
        query = select(Build).where(Build.app_id == app.id, Build.kind == "app")
        return list(session.scalars(query.order_by(Build.created_at, Build.id)))


def latest_builds(db: Database, app_ids: Sequence[str]) -> list[tuple[Build, int]]:
    """The newest build of each app that has one, with its number."""
    newest: dict[str, tuple[str, int]] = {}
    with db.read() as session:
        query = select(Build.app_id, Build.id).where(Build.app_id.in_(app_ids), Build.kind == "app")
        for app_id, id in session.execute(query.order_by(Build.created_at, Build.id)):
            newest[app_id] = (id, newest[app_id][1] + 1 if app_id in newest else 1)
        rows = session.scalars(select(Build).where(Build.id.in_([id for id, _ in newest.values()])))
        return [(row, newest[row.app_id][1]) for row in rows]


def _queue(session: Session, moment: datetime) -> tuple[dict[str, Build], list[build_queue.Waiting], list[Started]]:
    """The builds that nobody works on, by id and for the rules; and those that were taken up since they came."""
    working = Build.claim_token.is_not(None) & (Build.claim_until >= moment)
    rows = {row.id: row for row in session.scalars(select(Build).where(Build.status == "pending", ~working))}
    waiting = [
        build_queue.Waiting(
            row.id, row.app_id, row.user_id, row.created_at, row.started_at is not None, _not_before(row)
        )
        for row in rows.values()
    ]
    since = min((one.created_at for one in waiting), default=moment)
    columns = (Build.id, Build.app_id, Build.user_id, Build.started_at, working.label("working"))
    lately = session.execute(select(*columns).where(or_(Build.started_at >= since, working)))
    started = [
        Started(row.app_id, row.user_id, row.started_at or moment, bool(row.working))
        for row in lately
        if row.id not in rows
    ]
    return rows, waiting, started


def _not_before(row: Build) -> datetime | None:
    return row.claim_until if row.claim_token is None else None


def claim_build(db: Database, node: str) -> Build | None:
    """The next build to work on, now claimed by a daemon of `node` with a token of its own, or None.

    One build per app at a time, in fair order (rules.build_queue). A claim that has expired is free again.
    """
    with db.write() as session:
        moment = now(session)
        rows, waiting, started = _queue(session, moment)
        found = build_queue.next_build(waiting, started, moment)
        if found is None:
            return None
        build = rows[found.id]
        build.claim_token = f"{node}:{secrets.token_hex(8)}"
        build.claim_until = moment + CLAIM
        build.started_at = build.started_at or moment
        return build


def tell_waiting(db: Database, places: int) -> list[tuple[str, str]]:
    """Ids of builds that wait for another reason than they were told last, or at another place, and the reason."""
    with db.read() as session:
        rows, waiting, started = _queue(session, now(session))
        found = build_queue.reasons([one for one in waiting if not one.begun], started, places)
        news = [(id, text) for id, text in found.items() if rows[id].waits != text]
    if news:
        with db.write() as session:
            for id, text in news:
                session.execute(update(Build).where(Build.id == id).values(waits=text))
    return news


def keep_claim(db: Database, build: Build) -> bool:
    """Heartbeat, several times within CLAIM. False: the claim was lost, the build cancelled, or the app destroyed."""
    with db.write() as session:
        mine = (Build.id == build.id, Build.claim_token == build.claim_token, Build.status != "failed")
        query = update(Build).where(*mine).values(claim_until=now(session) + CLAIM).returning(Build.id)
        return session.scalar(query) is not None


def drop_claims(db: Database, node: str) -> None:
    """Free the claims of this node's previous daemon, which is known to be dead."""
    with db.write() as session:
        mine = Build.claim_token.startswith(node + ":", autoescape=True)
        session.execute(update(Build).where(mine).values(claim_token=None, claim_until=None))


def put_off(db: Database, build: Build, pause: float, preamble: int) -> bool:
    """Begin the build again in `pause` seconds, with new containers, after a fault of the platform.

    preamble: bytes of its output so far, which stay. False: the claim was lost.
    """
    with db.write() as session:
        row = session.get(Build, build.id)
        if not row or row.status != "pending" or row.claim_token != build.claim_token:
            return False
        row.attempt, row.troubles, row.preamble = row.attempt + 1, row.troubles + 1, preamble
        row.claim_token, row.claim_until = None, now(session) + timedelta(seconds=pause)
        return True


def begin(db: Database, build: Build, preamble: int) -> int:
    """Note where the output of the build proper begins, the first time; where it does begin, in bytes."""
    with db.write() as session:
        row = session.get_one(Build, build.id)
        if row.preamble is None:
            row.preamble = preamble
        return row.preamble


def cancel_build(db: Database, build: Build, by: User) -> Build:
    """End a build that waits or runs, at once; who works on it finds its claim gone. InvalidParams: it has ended."""
    with db.write() as session:
        row = session.get_one(Build, build.id)
        if row.status != "pending":
            raise InvalidParams(f"The build cannot be cancelled: it has {row.status} already.")
        row.status, row.failure = "failed", f"The build was cancelled by {by.email}."
        row.claim_token = row.claim_until = None
        return row


def ended_builds(db: Database) -> list[Build]:
    """Builds that have ended, with things left to clear away, and nobody at it."""
    with db.read() as session:
        idle = or_(Build.claim_token.is_(None), Build.claim_until < now(session))
        query = select(Build).where(Build.status != "pending", Build.cleared_at.is_(None), idle)
        return list(session.scalars(query.order_by(Build.created_at)))


def cleared(db: Database, build: Build) -> None:
    """Nothing is left of the build but its record and its output; the app's next one may start."""
    with db.write() as session:
        values = {"cleared_at": utcnow(), "claim_token": None, "claim_until": None}
        session.execute(update(Build).where(Build.id == build.id).values(**values))


def note_steps(db: Database, build: Build, steps: Mapping[str, float]) -> None:
    with db.write() as session:
        session.execute(update(Build).where(Build.id == build.id).values(steps=dict(steps)))


def purge_cache(db: Database, app: App) -> None:
    """The build that runs now, if any, shall not save its cache."""
    with db.write() as session:
        session.get_one(App, app.id).cache_purged_at = utcnow()


def may_save_cache(db: Database, build: Build) -> bool:
    """Whether the cache of a succeeded build is the app's newest: no later build, no purge since it started."""
    with db.read() as session:
        if build.kind != "app":
            return False
        app = session.get(App, build.app_id)
        later = select(Build.id).where(
            Build.app_id == build.app_id, Build.started_at > build.started_at, Build.id != build.id
        )
        if app is None or app.destroyed_at or build.started_at is None or session.scalar(later.limit(1)):
            return False
        return app.cache_purged_at is None or app.cache_purged_at < build.started_at


@dataclass(frozen=True)
class Built:
    """What a build made. blob, checksum, size: of the slug image. buildpacks: the ones used, to pin.

    config_vars: of the last buildpack's bin/release, for an app's first build.
    """

    blob: str
    checksum: str
    size: int
    process_types: dict[str, str]
    detected: str | None
    buildpacks: list[str] = field(default_factory=list)
    config_vars: dict[str, str] = field(default_factory=dict)


def finish_build(db: Database, build: Build, built: Built, *, hold: bool = False) -> Release | None:
    """Record slug and release, in one transaction with the build's end. None: the claim was lost, or no app was built.

    hold: keep the claim until `cleared`, so that the app's next build waits for this one's cache.
    """
    with db.write() as session:
        row = session.get(Build, build.id)
        if not row or row.status != "pending" or row.claim_token != build.claim_token:
            return None
        if not hold:
            row.claim_token = row.claim_until = None
        if row.kind == "slug":
            uploads.made(session, row, built.blob, built.checksum, built.size)
            return None
        app = session.get_one(App, row.app_id)
        slug = Slug(
            app_id=app.id,
            blob=built.blob,
            checksum=built.checksum,
            size=built.size,
            stack=row.stack,
            process_types=built.process_types,
            commit=row.source_version,
            detected=built.detected,
        )
        session.add(slug)
        session.flush()
        if not app.buildpacks:
            app.buildpacks = built.buildpacks  # Heroku pins what was detected, after the first success
        if app.released_at is None:
            app.config = {**names.acceptable(built.config_vars), **app.config}
        description = f"Deploy {row.source_version[:8]}" if row.source_version else "Deploy"
        release = add_release(session, app, row.user_id, description, slug, app.config)
        row.status, row.slug_id, row.release_id = "succeeded", slug.id, release.id
        return release


def fail_build(db: Database, build: Build, failure: str) -> bool:
    with db.write() as session:
        mine = (Build.id == build.id, Build.claim_token == build.claim_token, Build.status == "pending")
        free = {"claim_token": None, "claim_until": None}
        values = {"status": "failed", "failure": failure[:2000], "updated_at": utcnow(), **free}
        done = session.scalar(update(Build).where(*mine).values(**values).returning(Build.id)) is not None
        if done:
            events.touched(session, Build, build.id, {"status": "pending"})
        return done
