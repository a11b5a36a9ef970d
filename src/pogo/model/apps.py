"""Apps and what belongs to them whatever is deployed: access, domains, formation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.base import Base, Bytes, EncryptedJson, Record
from pogo.model.people import User
from pogo.model.teams import Team
from pogo.rules.permissions import COLLABORATOR


class App(Record, Base):
    """slot: small number, unique among living apps: its uid range and its router backend.

    config: the config vars that the next release gets. buildpacks: as the user set them, in order.
    owner: who made it, or got it by a transfer. team: owns it in his place, where there is one.
    locked: members of the team cannot join it by themselves.
    features: names of those that are switched on (rules.features).
    checks: of its web dynos, where they differ from the defaults (rules.checks).
    acm: whether the platform gets certificates for its domains from a public authority.
    detected: display name the last build's buildpack gave ("Python").
    cache_purged_at: builds that began before do not save the build cache.
    destroyed_at: set when the user destroyed it. It is gone for users at once (its name is free); the
    row stays, and with it the slot, until a loop has cleared away its containers and files.
    """

    __tablename__ = "apps"

    name: Mapped[str] = mapped_column(unique=True)
    slot: Mapped[int] = mapped_column(unique=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    stack: Mapped[str]
    build_stack: Mapped[str]
    maintenance: Mapped[bool] = mapped_column(default=False)
    buildpacks: Mapped[list[str]] = mapped_column(JSON, default=list)
    detected: Mapped[str | None]
    config: Mapped[dict[str, str]] = mapped_column(EncryptedJson, default=dict)
    released_at: Mapped[datetime | None]
    repo_size: Mapped[int | None] = mapped_column(Bytes)
    features: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    checks: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
    router: Mapped[dict[str, Any] | None] = mapped_column(EncryptedJson)
    acm: Mapped[bool] = mapped_column(default=False, server_default="0")
    cache_purged_at: Mapped[datetime | None]
    destroyed_at: Mapped[datetime | None]
    team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id"), index=True)
    locked: Mapped[bool] = mapped_column(default=False, server_default="0")
    owner: Mapped[User] = relationship(lazy="joined")
    team: Mapped[Team | None] = relationship(lazy="joined")


class Collaborator(Record, Base):
    """permissions: of rules.permissions."""

    __tablename__ = "collaborators"
    __table_args__ = (UniqueConstraint("app_id", "user_id"),)

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    permissions: Mapped[list[str]] = mapped_column(
        JSON, default=lambda: sorted(COLLABORATOR), server_default='["deploy", "operate", "view"]'
    )
    user: Mapped[User] = relationship(lazy="joined")


class Domain(Record, Base):
    """A custom domain. The one on the platform's own domain is not stored: it follows the app's name."""

    __tablename__ = "domains"

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    hostname: Mapped[str] = mapped_column(unique=True)
    sni_endpoint_id: Mapped[str | None] = mapped_column(ForeignKey("sni_endpoints.id", ondelete="SET NULL"), index=True)


class Formation(Record, Base):
    """How many dynos of which size a process type has. It outlives releases, also ones without the type."""

    __tablename__ = "formations"
    __table_args__ = (UniqueConstraint("app_id", "type"),)

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"))
    type: Mapped[str]
    quantity: Mapped[int]
    size: Mapped[str]
