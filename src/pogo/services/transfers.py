"""Apps that change hands: offered by their owner, taken or refused by the recipient."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import App, AppTransfer, Collaborator, User
from pogo.rules import permissions as rules
from pogo.services import usage
from pogo.services.database import Database


def offer(db: Database, user: User, app: App, recipient: str) -> AppTransfer:
    """recipient: e-mail or id. An offer to oneself by the operator needs nobody's consent: it is accepted at once.

    Raises Forbidden for who does not own the app; InvalidParams.
    """
    if app.team_id is not None:
        raise InvalidParams(f"{app.name} belongs to a team. An admin of the team moves it.")
    if app.owner_id != user.id and not user.admin:
        raise Forbidden(f"Only the owner of {app.name} can transfer it.")
    with db.write() as session:
        whom = session.scalar(select(User).where((User.email == recipient.lower()) | (User.id == recipient)))
        if whom is None:
            raise InvalidParams(f"There is no user {recipient} on this platform.")
        if whom.id == app.owner_id:
            raise InvalidParams(f"{whom.email} owns {app.name} already.")
        pending = (AppTransfer.app_id == app.id, AppTransfer.state == "pending")
        if session.scalar(select(AppTransfer.id).where(*pending)):
            raise InvalidParams(f"A transfer of {app.name} is under way. Take it back first.")
        row = AppTransfer(
            app=session.get_one(App, app.id),
            owner=session.get_one(User, app.owner_id),
            recipient=whom,
        )
        session.add(row)
        session.flush()
        if whom.id == user.id:
            _hand_over(session, row)
        return row


def list_transfers(db: Database, user: User) -> list[AppTransfer]:
    """Those from and to the user, of living apps."""
    with db.read() as session:
        mine = or_(AppTransfer.owner_id == user.id, AppTransfer.recipient_id == user.id)
        query = select(AppTransfer).join(App, AppTransfer.app_id == App.id).where(mine, App.destroyed_at.is_(None))
        return list(session.scalars(query.order_by(AppTransfer.created_at, AppTransfer.id)))


def find_transfer(db: Database, user: User, id_or_app: str) -> AppTransfer:
    """By its id, or by the name or id of the app: then the latest one of it."""
    for row in reversed(list_transfers(db, user)):
        if id_or_app in (row.id, row.app_id, row.app.name):
            return row
    raise NotFound("app_transfer")


def decide(db: Database, user: User, id_or_app: str, state: str) -> AppTransfer:
    """By the recipient: `accepted` or `declined`."""
    found = find_transfer(db, user, id_or_app)
    if found.recipient_id != user.id:
        raise Forbidden(f"Only {found.recipient.email} can accept or decline this transfer.")
    with db.write() as session:
        row = session.get(AppTransfer, found.id)
        if row is None or row.state != "pending" or row.app.destroyed_at is not None:
            raise InvalidParams("This transfer is over.")
        if row.app.owner_id != row.owner_id or row.app.team_id is not None:
            raise InvalidParams(f"{row.app.name} has another owner by now.")
        if state == "accepted":
            _hand_over(session, row)
        else:
            row.state = state
        return row


def withdraw(db: Database, user: User, id_or_app: str) -> AppTransfer:
    """By the owner."""
    found = find_transfer(db, user, id_or_app)
    if found.owner_id != user.id:
        raise Forbidden(f"Only {found.owner.email} can take this transfer back.")
    with db.write() as session:
        row = session.get(AppTransfer, found.id)
        if row is None or row.state != "pending":
            raise InvalidParams("This transfer is over.")
        session.delete(row)
        return found


def _hand_over(session: Session, row: AppTransfer) -> None:
    """The old owner stays as a collaborator (Heroku)."""
    row.state = "accepted"
    of_app = Collaborator.app_id == row.app_id
    theirs = session.scalar(select(Collaborator).where(of_app, Collaborator.user_id == row.recipient_id))
    if theirs is not None:
        session.delete(theirs)
    row.app.owner = row.recipient
    usage.hand_over(session, row.app)
    if not session.scalar(select(Collaborator.id).where(of_app, Collaborator.user_id == row.owner_id)):
        session.add(Collaborator(app_id=row.app_id, user=row.owner, permissions=sorted(rules.COLLABORATOR)))
    session.flush()
