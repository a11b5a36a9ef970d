"""Who may do what to an app."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import App, Collaborator, User
from pogo.services.database import Database


def find_app(db: Database, user: User, name_or_id: str) -> App:
    """The app, if the user may use it: owner, collaborator or operator.

    NotFound where there is none; Forbidden where there is one of somebody else (as Heroku does:
    names are public anyhow, they are host names).
    """
    with db.read() as session:
        named = (App.name == name_or_id) | (App.id == name_or_id)
        app = session.scalar(select(App).where(named, App.destroyed_at.is_(None)))
        if not app:
            raise NotFound("app", "Couldn't find that app.")
        if app.owner_id != user.id and not user.admin and not _collaborates(session, app.id, user.id):
            raise Forbidden(f"You do not have access to the app {app.name}.")
        return app


def _collaborates(session: Session, app_id: str, user_id: str) -> bool:
    query = select(Collaborator.id).where(Collaborator.app_id == app_id, Collaborator.user_id == user_id)
    return session.scalar(query) is not None


def require_owner(app: App, user: User) -> None:
    if app.owner_id != user.id and not user.admin:
        raise Forbidden(f"Only the owner of {app.name} may do that.")


def list_collaborators(db: Database, app: App) -> list[Collaborator]:
    """Collaborators besides the owner, oldest first."""
    with db.read() as session:
        query = select(Collaborator).where(Collaborator.app_id == app.id).order_by(Collaborator.created_at)
        return list(session.scalars(query))


def add_collaborator(db: Database, app: App, email: str) -> Collaborator:
    with db.write() as session:
        user = session.scalar(select(User).where((User.email == email.lower()) | (User.id == email)))
        if not user:
            raise InvalidParams(f"There is no user {email} on this platform.")
        if user.id == app.owner_id or _collaborates(session, app.id, user.id):
            raise InvalidParams(f"User {user.email} is already a collaborator on app {app.name}.")
        collaborator = Collaborator(app_id=app.id, user=user)
        session.add(collaborator)
        session.flush()
        return collaborator


def remove_collaborator(db: Database, app: App, email_or_id: str) -> Collaborator:
    for collaborator in list_collaborators(db, app):
        if email_or_id.lower() in (collaborator.user.email, collaborator.user_id, collaborator.id):
            with db.write() as session:
                session.delete(collaborator)
            return collaborator
    raise NotFound("collaborator")
