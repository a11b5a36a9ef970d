"""Who may do what to an app."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import App, Collaborator, User
from pogo.rules import permissions as rules
from pogo.services import audit, membership
from pogo.services.database import Database


def find_app(db: Database, user: User, name_or_id: str, needs: Collection[str] = (rules.VIEW,)) -> App:
    """The app, if the user has one of the permissions that are needed (rules.operations).

    NotFound where there is none; Forbidden where there is one of somebody else (as Heroku does:
    names are public anyhow, they are host names).
    """
    with db.read() as session:
        named = (App.name == name_or_id) | (App.id == name_or_id)
        app = session.scalar(select(App).where(named, App.destroyed_at.is_(None)))
        if not app:
            raise NotFound("app", "Couldn't find that app.")
        found = membership.permissions_of(session, app, user)
    if not found:
        raise Forbidden(f"You do not have access to the app {name_or_id}.")
    if found.isdisjoint(needs):
        raise lacking(app, needs)
    who = audit.actor()
    if who:
        who.app = app
    return app


def lacking(app: App, needs: Collection[str]) -> Forbidden:
    wanted = " or ".join(sorted(needs))
    return Forbidden(
        f"You need the permission {wanted} on {app.name} for that.\n"
        f"Whoever manages the app can give it to you by: pogo access:update EMAIL --permissions …"
    )


def permissions_of(db: Database, app: App, user: User) -> frozenset[str]:
    with db.read() as session:
        return membership.permissions_of(session, app, user)


def require(db: Database, app: App, user: User, permission: str) -> None:
    if permission not in permissions_of(db, app, user):
        raise lacking(app, [permission])


def list_collaborators(db: Database, app: App) -> list[Collaborator]:
    """Collaborators besides the owner, oldest first."""
    with db.read() as session:
        query = select(Collaborator).where(Collaborator.app_id == app.id).order_by(Collaborator.created_at)
        return list(session.scalars(query))


def collaborators_of(db: Database, apps: Collection[App]) -> dict[str, list[Collaborator]]:
    """Of each of the apps, by its id, as `list_collaborators`; apps without any are left out."""
    found: dict[str, list[Collaborator]] = {}
    with db.read() as session:
        query = select(Collaborator).where(Collaborator.app_id.in_([app.id for app in apps]))
        for row in session.scalars(query.order_by(Collaborator.created_at)):
            found.setdefault(row.app_id, []).append(row)
    return found


def find_collaborator(db: Database, app: App, email_or_id: str) -> Collaborator:
    for collaborator in list_collaborators(db, app):
        if email_or_id.lower() in (collaborator.user.email, collaborator.user_id, collaborator.id):
            return collaborator
    raise NotFound("collaborator")


def add_collaborator(db: Database, app: App, email: str, permissions: Collection[str] | None = None) -> Collaborator:
    """permissions: None for those that a collaborator has without further words (rules.permissions)."""
    granted = _checked(rules.COLLABORATOR if permissions is None else permissions)
    with db.write() as session:
        user = session.scalar(select(User).where((User.email == email.lower()) | (User.id == email)))
        if not user:
            raise InvalidParams(
                f"There is no user {email} on this platform. Its operator can invite: pogo admin:invite"
            )
        mine = (Collaborator.app_id == app.id, Collaborator.user_id == user.id)
        owns = app.team_id is None and user.id == app.owner_id
        if owns or session.scalar(select(Collaborator.id).where(*mine)):
            raise InvalidParams(f"User {user.email} is already a collaborator on app {app.name}.")
        collaborator = Collaborator(app_id=app.id, user=user, permissions=granted)
        session.add(collaborator)
        session.flush()
        return collaborator


def change_collaborator(db: Database, app: App, email_or_id: str, permissions: Collection[str]) -> Collaborator:
    """Give a collaborator these permissions, and no others."""
    granted = _checked(permissions)
    found = find_collaborator(db, app, email_or_id)
    with db.write() as session:
        row = session.get(Collaborator, found.id)
        if row is None:
            raise NotFound("collaborator")
        row.permissions = granted
        return row


def _checked(permissions: Collection[str]) -> list[str]:
    """Sorted, and with `view`, which all others bring along."""
    unknown = rules.unknown(permissions)
    if unknown:
        known = ", ".join(rules.PERMISSIONS)
        raise InvalidParams(f"No such permission as {', '.join(unknown)}. Permissions: {known}.")
    return sorted({*permissions, rules.VIEW})


def remove_collaborator(db: Database, app: App, email_or_id: str) -> Collaborator:
    found = find_collaborator(db, app, email_or_id)
    with db.write() as session:
        row = session.get(Collaborator, found.id)
        if row is not None:
            session.delete(row)
        return found
