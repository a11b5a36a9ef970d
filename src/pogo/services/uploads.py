"""Slugs that were made elsewhere: announced, uploaded, then checked and packed like those that are built here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Build, Slug, User
from pogo.rules import names, sizes
from pogo.services.database import Database

AWAITED = "awaited"
READY = "ready"


@dataclass(frozen=True)
class NewSlug:
    """checksum: `SHA256:<hex>` of the archive, or empty. stack: empty for the app's."""

    process_types: Mapping[str, str]
    stack: str = ""
    commit: str | None = None
    commit_description: str | None = None
    detected: str | None = None
    checksum: str = ""


def announce(db: Database, app: App, new: NewSlug) -> Slug:
    """A slug whose archive is yet to come. InvalidParams: a bad process type or stack."""
    for type, command in new.process_types.items():
        if not names.PROCESS_TYPE.fullmatch(type):
            raise InvalidParams(f"{type!r} is not a process type: letters, digits, - and _ make its name.")
        if not command.strip() or "\0" in command:
            raise InvalidParams(f"The process type {type} needs a command.")
    with db.write() as session:
        row = session.get_one(App, app.id)
        slug = Slug(
            app_id=app.id,
            blob="",
            checksum=new.checksum.lower().removeprefix("sha256:"),
            size=0,
            stack=sizes.find_stack(new.stack).name if new.stack else row.build_stack,
            process_types=dict(new.process_types),
            commit=new.commit,
            commit_description=new.commit_description,
            detected=new.detected,
            status=AWAITED,
        )
        session.add(slug)
        session.flush()
        return slug


def start(db: Database, slug_id: str, source: str, checksum: str) -> Build:
    """Queue the work on an archive that has arrived, with this SHA-256. NotFound, InvalidParams."""
    with db.write() as session:
        slug = session.get(Slug, slug_id)
        if slug is None:
            raise NotFound("slug")
        if slug.status == READY:
            raise InvalidParams("That slug is complete. Make a new one for another archive.")
        if slug.checksum and slug.checksum != checksum:
            raise InvalidParams(f"The checksum of the slug does not match: it is SHA256:{checksum}.")
        app = session.get_one(App, slug.app_id)
        build = Build(
            app=app,
            user=session.get_one(User, app.owner_id),
            kind="slug",
            source=source,
            source_version=slug.commit,
            stack=slug.stack,
            buildpacks=[],
            slug_id=slug.id,
        )
        session.add(build)
        session.flush()
        return build


def made(session: Session, build: Build, blob: str, checksum: str, size: int) -> None:
    """Record the image, inside the caller's transaction, as the build's end."""
    slug = session.get_one(Slug, build.slug_id)
    slug.blob, slug.checksum, slug.size, slug.status = blob, checksum, size, READY
    build.status = "succeeded"


def last_upload(db: Database, slug_id: str) -> Build | None:
    """The newest work on the slug's archive; None where nothing was uploaded."""
    with db.read() as session:
        query = select(Build).where(Build.slug_id == slug_id, Build.kind == "slug")
        return session.scalar(query.order_by(Build.created_at.desc()).limit(1))
