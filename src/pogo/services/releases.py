"""Releases: a slug with config vars, numbered; the newest that succeeded is what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Dyno, Formation, Release, Slug, User, utcnow
from pogo.rules import names, sizes
from pogo.services.database import Database

RELEASE_TYPE = "release"


def add_release(
    session: Session, app: App, user_id: str, description: str, slug: Slug | None, config: Mapping[str, str]
) -> Release:
    """The next release of the app, inside the caller's transaction.

    With a `release` process type it is pending until that command succeeded (loops.releases runs it).
    """
    last = session.scalar(select(func.max(Release.version)).where(Release.app_id == app.id)) or 0
    pending = slug is not None and RELEASE_TYPE in slug.process_types
    release = Release(
        app_id=app.id,
        version=last + 1,
        status="pending" if pending else "succeeded",
        description=description,
        user_id=user_id,
        slug=slug,
        config=dict(config),
    )
    session.add(release)
    session.flush()
    session.refresh(release)
    if not pending:
        _went_live(session, app, release)
    return release


def _went_live(session: Session, app: App, release: Release) -> None:
    if release.slug is None:
        return
    app.released_at = utcnow()
    app.stack = release.slug.stack
    app.detected = release.slug.detected
    known = set(session.scalars(select(Formation.type).where(Formation.app_id == app.id)))
    for type in release.slug.process_types:
        if type not in known and type != RELEASE_TYPE:
            # Heroku: the first deploy starts one web dyno; other types wait to be scaled.
            quantity = 1 if type == "web" else 0
            session.add(Formation(app_id=app.id, type=type, quantity=quantity, size=sizes.DEFAULT_SIZE))


def current(session: Session, app_id: str) -> Release | None:
    """The newest release that succeeded."""
    query = select(Release).where(Release.app_id == app_id, Release.status == "succeeded")
    return session.scalar(query.order_by(Release.version.desc()).limit(1))


def current_release(db: Database, app_id: str) -> Release | None:
    with db.read() as session:
        return current(session, app_id)


def latest(session: Session, app_id: str) -> Release:
    """The newest release, whatever became of it. Every app has one."""
    query = select(Release).where(Release.app_id == app_id).order_by(Release.version.desc()).limit(1)
    return session.scalars(query).one()


def latest_release(db: Database, app_id: str) -> Release:
    with db.read() as session:
        return latest(session, app_id)


def slug_sizes(db: Database, app_ids: Sequence[str]) -> dict[str, int]:
    """Bytes of the slug that each app runs, by app id; apps without one are left out."""
    newest = (
        select(Release.app_id, func.max(Release.version).label("version"))
        .where(Release.status == "succeeded", Release.app_id.in_(app_ids))
        .group_by(Release.app_id)
        .subquery()
    )
    same = (newest.c.app_id == Release.app_id) & (newest.c.version == Release.version)
    query = select(Release.app_id, Slug.size).join(newest, same).join(Slug, Slug.id == Release.slug_id)
    with db.read() as session:
        return {row.app_id: row.size for row in session.execute(query)}


def list_releases(db: Database, app: App) -> list[Release]:
    """All releases, oldest first."""
    with db.read() as session:
        return list(session.scalars(select(Release).where(Release.app_id == app.id).order_by(Release.version)))


@dataclass
class Newest:
    """Ids of releases of one app: the newest, the newest of new code, and the one that runs."""

    latest: str
    deployed: str | None = None
    current: str | None = None


def newest(db: Database, app_ids: Sequence[str]) -> dict[str, Newest]:
    """By app id."""
    columns = (Release.app_id, Release.id, Release.slug_id, Release.status)
    found: dict[str, Newest] = {}
    slugs: dict[str, str | None] = {}
    with db.read() as session:
        query = select(*columns).where(Release.app_id.in_(app_ids)).order_by(Release.version)
        for app_id, id, slug_id, status in session.execute(query):
            one = found.setdefault(app_id, Newest(id))
            one.latest = id
            if slug_id is not None and slug_id != slugs.get(app_id):
                one.deployed = id
            if status == "succeeded":
                one.current = id
            slugs[app_id] = slug_id
    return found


def get_releases(db: Database, ids: Sequence[str]) -> dict[str, Release]:
    with db.read() as session:
        return {row.id: row for row in session.scalars(select(Release).where(Release.id.in_(ids)))}


def find_release(db: Database, app: App, id_or_version: str) -> Release:
    """By UUID, `12` or `v12`."""
    version = id_or_version.removeprefix("v")
    number = int(version) if version.isdigit() and len(version) < 10 else -1
    with db.read() as session:
        match = (Release.id == id_or_version) | (Release.version == number)
        found = session.scalar(select(Release).where(Release.app_id == app.id, match))
    if not found:
        raise NotFound("release", f"Couldn't find that release: {app.name} has no release {id_or_version}.")
    return found


def get_release(db: Database, release_id: str) -> Release | None:
    with db.read() as session:
        return session.get(Release, release_id)


def find_slug(db: Database, app: App, slug_id: str) -> Slug:
    """A slug that was made of the app, or promoted to it."""
    with db.read() as session:
        found = session.get(Slug, slug_id)
        released = select(Release.id).where(Release.slug_id == slug_id, Release.app_id == app.id).limit(1)
        if not found or (found.app_id != app.id and not session.scalar(released)):
            raise NotFound("slug")
        return found


def get_slug(db: Database, slug_id: str) -> Slug | None:
    with db.read() as session:
        return session.get(Slug, slug_id)


def change_config(db: Database, app: App, user: User, changes: dict[str, object]) -> dict[str, str]:
    """Set and remove config vars; makes a release unless nothing changes. Returns all config vars.

    InvalidParams for a bad name or value; then nothing at all is changed.
    """
    checked = names.check_config(changes)
    with db.write() as session:
        row = session.get_one(App, app.id)
        before = dict(row.config)
        real = {k: v for k, v in checked.items() if before.get(k) != v}
        after = {k: v for k, v in {**before, **real}.items() if v is not None}
        if real:
            row.config = after
            live = current(session, app.id)
            add_release(session, row, user.id, names.config_description(real), live.slug if live else None, after)
        return after


def rollback(db: Database, app: App, user: User, release: Release) -> Release:
    """A new release with the slug and the config vars of an old one. InvalidParams when it has no slug."""
    if release.slug is None or release.status == "failed":
        raise InvalidParams(f"Cannot roll back to v{release.version}: that release cannot run (no slug, or it failed).")
    with db.write() as session:
        row = session.get_one(App, app.id)
        slug = kept(session, release.slug.id)
        row.config = dict(release.config)
        return add_release(session, row, user.id, f"Rollback to v{release.version}", slug, release.config)


def release_slug(db: Database, app: App, user: User, slug: Slug, description: str) -> Release:
    """A new release of an existing slug with the present config vars (`releases:retry`)."""
    with db.write() as session:
        row = session.get_one(App, app.id)
        return add_release(session, row, user.id, description, kept(session, slug.id), row.config)


def kept(session: Session, slug_id: str) -> Slug:
    """A slug that may be released (again). Raises InvalidParams for one that was let go."""
    slug = session.get_one(Slug, slug_id)
    if slug.pruned_at:
        raise InvalidParams(
            "That release's slug is no longer kept: only those released last are (POGO_KEEP_SLUGS). "
            "Push its commit again."
        )
    return slug


def pending_releases(db: Database) -> list[Release]:
    """For each app its oldest release whose release phase has not ended."""
    with db.read() as session:
        query = select(Release).where(Release.status == "pending").order_by(Release.version.desc())
        oldest = {release.app_id: release for release in session.scalars(query)}
        return [release for release in oldest.values() if release.app.destroyed_at is None]


def conclude(db: Database, release_id: str, *, succeeded: bool) -> bool:
    """End the release phase. True only for the caller that made the change."""
    with db.write() as session:
        release = session.get(Release, release_id)
        if not release or release.status != "pending":
            return False
        release.status = "succeeded" if succeeded else "failed"
        if succeeded:
            _went_live(session, session.get_one(App, release.app_id), release)
        return True


def release_dyno(db: Database, release_id: str) -> Dyno | None:
    """The dyno that runs (or ran) the release phase."""
    with db.read() as session:
        return session.scalar(select(Dyno).where(Dyno.release_id == release_id, Dyno.kind == "release"))
