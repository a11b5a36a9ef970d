"""Builds: queued, claimed, succeeded or failed. `git push` and the API enter at the same `start_build`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import func, or_, select, update

from pogo.errors import NotFound
from pogo.model import App, Build, Release, Slug, User, utcnow
from pogo.services.database import Database
from pogo.services.releases import add_release

CLAIM = timedelta(seconds=20)


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


def builds_before(db: Database, build: Build) -> int:
    """How many unfinished builds of the same app this one waits for."""
    with db.read() as session:
        query = select(func.count()).where(
            Build.app_id == build.app_id, Build.status == "pending", Build.created_at < build.created_at
        )
        return session.scalar(query) or 0


def find_build(db: Database, app: App, build_id: str) -> Build:
    with db.read() as session:
        found = session.get(Build, build_id)
    if not found or found.app_id != app.id:
        raise NotFound("build")
    return found


def get_build(db: Database, build_id: str) -> Build | None:
    with db.read() as session:
        return session.get(Build, build_id)


def list_builds(db: Database, app: App) -> list[Build]:
    with db.read() as session:
        return list(session.scalars(select(Build).where(Build.app_id == app.id).order_by(Build.created_at)))


def claim_build(db: Database, node: str) -> Build | None:
    """The next build to work on, now claimed by a daemon of `node` with a token of its own, or None.

    One build per app at a time, oldest first. A claim that has expired is free again.
    """
    now = utcnow()
    with db.write() as session:
        busy = select(Build.app_id).where(Build.status == "pending", Build.claim_until >= now)
        free = or_(Build.claim_until.is_(None), Build.claim_until < now)
        query = select(Build).where(Build.status == "pending", free, Build.app_id.not_in(busy))
        build = session.scalar(query.order_by(Build.created_at).limit(1))
        if build:
            build.claim_token = f"{node}:{secrets.token_hex(8)}"
            build.claim_until = now + CLAIM
            build.started_at = build.started_at or now
        return build


def keep_claim(db: Database, build: Build) -> bool:
    """Heartbeat, several times within CLAIM. False: the claim was lost, or the app destroyed; stop working."""
    with db.write() as session:
        mine = (Build.id == build.id, Build.claim_token == build.claim_token, Build.status == "pending")
        query = update(Build).where(*mine).values(claim_until=utcnow() + CLAIM).returning(Build.id)
        return session.scalar(query) is not None


def drop_claims(db: Database, node: str) -> None:
    """Free the claims of this node's previous daemon, which is known to be dead."""
    with db.write() as session:
        mine = (Build.status == "pending", Build.claim_token.startswith(node + ":", autoescape=True))
        session.execute(update(Build).where(*mine).values(claim_until=None))


def next_attempt(db: Database, build: Build) -> Build:
    """Begin the build again, with new containers, after a fault of the platform."""
    with db.write() as session:
        row = session.get_one(Build, build.id)
        row.attempt += 1
        return row


@dataclass(frozen=True)
class Built:
    """What a build made. blob, checksum, size: of the slug image. buildpacks: the ones used, to pin."""

    blob: str
    checksum: str
    size: int
    process_types: dict[str, str]
    detected: str | None
    buildpacks: list[str] = field(default_factory=list)


def finish_build(db: Database, build: Build, built: Built) -> Release | None:
    """Record slug and release, in one transaction with the build's end. None: the claim was lost."""
    with db.write() as session:
        row = session.get(Build, build.id)
        if not row or row.status != "pending" or row.claim_token != build.claim_token:
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
        description = f"Deploy {row.source_version[:8]}" if row.source_version else "Deploy"
        release = add_release(session, app, row.user_id, description, slug, app.config)
        row.status, row.slug_id, row.release_id = "succeeded", slug.id, release.id
        return release


def fail_build(db: Database, build: Build, failure: str) -> bool:
    with db.write() as session:
        mine = (Build.id == build.id, Build.claim_token == build.claim_token, Build.status == "pending")
        values = {"status": "failed", "failure": failure[:2000], "updated_at": utcnow()}
        return session.scalar(update(Build).where(*mine).values(**values).returning(Build.id)) is not None
