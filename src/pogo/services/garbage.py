"""Which stored objects nothing needs any more."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from pogo.model import Build, Release, Slug
from pogo.services.database import Database


@dataclass(frozen=True)
class Leftovers:
    """only: keys of objects that no other app uses; transcripts: ids of its builds and releases."""

    only: list[str]
    transcripts: list[str]


def blobs_of(db: Database, app_id: str) -> Leftovers:
    """What an app has in the store. Two apps with the same slug share its object."""
    with db.read() as session:
        slugs = set(session.scalars(select(Slug.blob).where(Slug.app_id == app_id)))
        shared = set(session.scalars(select(Slug.blob).where(Slug.app_id != app_id, Slug.blob.in_(slugs))))
        sources = session.scalars(select(Build.source).where(Build.app_id == app_id))
        builds = session.scalars(select(Build.id).where(Build.app_id == app_id))
        releases = session.scalars(select(Release.id).where(Release.app_id == app_id))
        return Leftovers([*sorted(slugs - shared), *sources], [*builds, *releases])
