"""Which stored objects nothing needs any more."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from pogo.model import App, Build, Dyno, Release, Slug, utcnow
from pogo.rules import retention
from pogo.services.database import Database

CACHES = "caches/"
SLUGS = "slugs/"
_OF_BUILD = re.compile(r"slugs/[0-9a-f]{64}-([0-9a-f-]{36})\.squashfs")


@dataclass(frozen=True)
class Leftovers:
    """only: keys of objects that no other app uses; transcripts: ids of its builds and releases."""

    only: list[str]
    transcripts: list[str]


def blobs_of(db: Database, app_id: str) -> Leftovers:
    """What an app has in the store. Two apps with the same slug share its object."""
    with db.read() as session:
        promoted = select(Release.slug_id).where(Release.app_id != app_id, Release.slug_id.is_not(None))
        own = (Slug.app_id == app_id, Slug.id.not_in(promoted))
        slugs = set(session.scalars(select(Slug.blob).where(*own, Slug.blob != "")))
        others = or_(Slug.app_id != app_id, Slug.id.in_(promoted))
        shared = set(session.scalars(select(Slug.blob).where(others, Slug.blob.in_(slugs))))
        sources = session.scalars(select(Build.source).where(Build.app_id == app_id))
        builds = session.scalars(select(Build.id).where(Build.app_id == app_id))
        releases = session.scalars(select(Release.id).where(Release.app_id == app_id))
        return Leftovers([*sorted(slugs - shared), *sources], [*builds, *releases])


def slug_key(checksum: str, build: Build) -> str:
    """Where the slug of a build is stored. Its own key, even where another build made the same bytes: so
    that pruning the other one never takes this one's away."""
    return f"{SLUGS}{checksum}-{build.id}.squashfs"


def prune_slugs(db: Database, keep: int) -> None:
    """Let go of slugs beyond the `keep` of each app (rules.retention): from now on no release can name them.

    A slug that was promoted is kept as long as one of the apps keeps it.
    """
    now = utcnow()
    with db.write() as session:
        found = _kept_slugs(session)
        superfluous = {app_id: retention.superfluous(slugs, keep, now) for app_id, slugs in found.items()}
        kept = {slug.id for app_id, slugs in found.items() for slug in slugs if slug.id not in superfluous[app_id]}
        if ids := set().union(*superfluous.values()) - kept:
            session.execute(update(Slug).where(Slug.id.in_(ids)).values(pruned_at=now))


def _kept_slugs(session: Session) -> dict[str, list[retention.Kept]]:
    """By app, those that it made and those that were promoted to it."""
    versions = {
        (app_id, slug_id): version
        for app_id, slug_id, version in session.execute(
            select(Release.app_id, Release.slug_id, func.max(Release.version)).group_by(Release.app_id, Release.slug_id)
        )
    }
    live = (
        select(func.max(Release.version), Release.app_id).where(Release.status == "succeeded").group_by(Release.app_id)
    )
    current = {(app_id, version) for version, app_id in session.execute(live)}
    in_use = set(session.scalars(select(Release.slug_id).join(Dyno, Dyno.release_id == Release.id)))
    for app_id, version, slug_id, status in session.execute(
        select(Release.app_id, Release.version, Release.slug_id, Release.status)
    ):
        if status == "pending" or (app_id, version) in current:
            in_use.add(slug_id)
    found = defaultdict(list)
    query = select(Slug.id, Slug.app_id, Slug.created_at).where(Slug.pruned_at.is_(None), Slug.status == "ready")
    slugs = {row.id: row for row in session.execute(query)}
    pairs = {(row.app_id, row.id) for row in slugs.values()}
    pairs |= {(app_id, id) for app_id, id in versions if id is not None and id in slugs}
    for app_id, id in sorted(pairs):
        found[app_id].append(retention.Kept(id, slugs[id].created_at, versions.get((app_id, id)), id in in_use))
    return found


def pruned_blobs(db: Database) -> list[str]:
    """Keys of objects that only slugs have that were let go."""
    with db.read() as session:
        pruned = set(session.scalars(select(Slug.blob).where(Slug.pruned_at.is_not(None), Slug.blob != "")))
        needed = set(session.scalars(select(Slug.blob).where(Slug.pruned_at.is_(None), Slug.blob.in_(pruned))))
        return sorted(pruned - needed)


def blob_deleted(db: Database, key: str) -> None:
    with db.write() as session:
        session.execute(update(Slug).where(Slug.blob == key, Slug.pruned_at.is_not(None)).values(blob=""))


def orphaned_slugs(db: Database, keys: Collection[str]) -> list[str]:
    """Those of the keys that a build stored which never made a slug of it, and never will."""
    builds = {match[1]: key for key in keys if (match := _OF_BUILD.fullmatch(key))}
    with db.read() as session:
        # In this order: a build that ends between the two has named its slug by the second.
        pending = set(session.scalars(select(Build.id).where(Build.status == "pending")))
        named = set(session.scalars(select(Slug.blob)))
        return sorted(key for id, key in builds.items() if id not in pending and key not in named)


def idle_caches(db: Database, keys: Collection[str], before: datetime) -> list[str]:
    """Those of the keys of build caches whose app was not built since `before`, the longest idle first.

    An app whose build waits or runs is not idle. The cache of an app that is gone goes first.
    """
    with db.read() as session:
        built = session.execute(select(Build.app_id, func.max(Build.created_at)).group_by(Build.app_id))
        last = {row[0]: row[1] for row in built}
        busy = set(session.scalars(select(Build.app_id).where(Build.status == "pending")))
        since = {row[0]: row[1] for row in session.execute(select(App.id, App.created_at))}
    idle = []
    for key in keys:
        app_id = key.removeprefix(CACHES)
        at = last.get(app_id) or since.get(app_id)
        if app_id not in busy and (at is None or at < before):
            idle.append((at is not None, at or before, key))
    return [key for *_, key in sorted(idle)]
