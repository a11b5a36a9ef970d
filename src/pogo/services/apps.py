"""Apps: make, change, destroy."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, defer

from pogo.errors import InvalidParams, NotFound, Unavailable
from pogo.model import App, Build, Collaborator, Domain, Dyno, Release, Slug, Team, User, utcnow
from pogo.rules import names, permissions, sizes
from pogo.services.database import Database
from pogo.services.membership import has_access


def create_app(
    db: Database,
    user: User,
    name: str | None,
    stack: str,
    max_apps: int,
    *,
    team: Team | None = None,
    locked: bool = False,
) -> App:
    """A new app with its first release. InvalidParams: bad or taken name. Unavailable: no slot left.

    team: owns it in the user's place; what a member makes, he has all permissions on (Heroku).
    """
    stack = sizes.find_stack(stack).name
    if name is not None:
        names.check_app_name(name)
    with db.write() as session:
        name = name or _free_name(session)
        _check_free(session, name)
        slot = _free_slot(session, max_apps)
        owned = session.get_one(Team, team.id) if team else None
        app = App(
            name=name,
            slot=slot,
            owner=session.get_one(User, user.id),
            team=owned,
            locked=locked and team is not None,
            stack=stack,
            build_stack=stack,
        )
        session.add(app)
        session.flush()
        if team:
            session.add(Collaborator(app_id=app.id, user=app.owner, permissions=sorted(permissions.EVERYTHING)))
        session.add(
            Release(app_id=app.id, version=1, status="succeeded", description="Initial release", user_id=user.id)
        )
        session.flush()
        return app


def _free_name(session: Session) -> str:
    for _ in range(20):
        name = names.generated_name(secrets.randbelow(1_000_000) for _ in range(3))
        if not session.scalar(select(App.id).where(App.name == name)):
            return name
    raise Unavailable("No free name was found. Choose one.")


def _check_free(session: Session, name: str) -> None:
    if session.scalar(select(App.id).where(App.name == name)):
        raise InvalidParams(f"Name {name} is already taken")


def _free_slot(session: Session, max_apps: int) -> int:
    taken = set(session.scalars(select(App.slot)))
    for slot in range(1, max_apps + 1):
        if slot not in taken:
            return slot
    raise Unavailable(f"This platform is full: it is set up for {max_apps} apps (POGO_MAX_APPS).")


def list_apps(db: Database, user: User, *, everyone: bool = False) -> list[App]:
    """Apps that the user has access to (`everyone`: all, for the operator), by name; without their config vars."""
    with db.read() as session:
        query = select(App).where(App.destroyed_at.is_(None)).order_by(App.name)
        if not everyone:
            query = query.where(has_access(user))
        return list(session.scalars(query.options(defer(App.config), defer(App.router))))


def update_app(
    db: Database,
    app: App,
    *,
    name: str | None = None,
    maintenance: bool | None = None,
    build_stack: str | None = None,
) -> App:
    """Rename, switch maintenance mode, or choose the stack of the next build."""
    if name is not None and name != app.name:
        names.check_app_name(name)
    stack = sizes.find_stack(build_stack).name if build_stack is not None else None
    with db.write() as session:
        row = session.get_one(App, app.id)
        if name is not None and name != row.name:
            _check_free(session, name)
            row.name = name
        if maintenance is not None:
            row.maintenance = maintenance
        if stack is not None:
            row.build_stack = stack
            if row.released_at is None:  # nothing deployed yet: there is nothing that still runs on the old one
                row.stack = stack
        return row


def set_buildpacks(db: Database, app: App, buildpacks: Sequence[str]) -> App:
    with db.write() as session:
        row = session.get_one(App, app.id)
        row.buildpacks = list(buildpacks)
        return row


def get_app(db: Database, id: str) -> App:
    """For whoever may see it. Raises NotFound, also where it was destroyed."""
    with db.read() as session:
        row = session.get(App, id)
    if row is None or row.destroyed_at is not None:
        raise NotFound("app")
    return row


def set_repo_size(db: Database, app_id: str, size: int) -> None:
    """size: bytes of the git repository, for `apps:info`."""
    with db.write() as session:
        row = session.get(App, app_id)
        if row:
            row.repo_size = size


def destroy_app(db: Database, app: App) -> None:
    """Remove the app for its users, at once. `loops.cleanup` clears away what it has and the row."""
    with db.write() as session:
        row = session.get(App, app.id)
        if row and not row.destroyed_at:
            row.name, row.destroyed_at = f"~{row.id}", utcnow()
            session.execute(delete(Domain).where(Domain.app_id == row.id))
            session.execute(
                update(Build).where(Build.app_id == row.id, Build.status == "pending").values(status="failed")
            )
            # One-off dynos and release phases are told to stop; the formation ends with the release.
            others = update(Dyno).where(Dyno.app_id == row.id, Dyno.kind != "formation")
            session.execute(others.values(expires_at=utcnow(), attach=False))


def destroyed_apps(db: Database) -> list[App]:
    with db.read() as session:
        return list(session.scalars(select(App).where(App.destroyed_at.is_not(None))))


def forget_app(db: Database, app_id: str) -> None:
    """Drop the row of a destroyed app and all rows that hang on it; frees its slot.

    A slug that was promoted to other apps stays, as one of theirs.
    """
    with db.write() as session:
        promoted = select(Release.app_id).where(Release.slug_id == Slug.id, Release.app_id != app_id).limit(1)
        others = update(Slug).where(Slug.app_id == app_id, promoted.exists())
        session.execute(
            others.values(app_id=promoted.scalar_subquery()), execution_options={"synchronize_session": False}
        )
        session.execute(delete(Release).where(Release.app_id == app_id))
        session.execute(delete(App).where(App.id == app_id, App.destroyed_at.is_not(None)))
