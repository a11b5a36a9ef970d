"""How apps change hands."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.apps import App
from pogo.model.base import Base, Record
from pogo.model.people import User


class AppTransfer(Record, Base):
    """An app that its owner offers to another user. state: pending, accepted, declined."""

    __tablename__ = "app_transfers"

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    recipient_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(default="pending")
    app: Mapped[App] = relationship(lazy="joined")
    owner: Mapped[User] = relationship(lazy="joined", foreign_keys=owner_id)
    recipient: Mapped[User] = relationship(lazy="joined", foreign_keys=recipient_id)
