"""What the operator and app.json say about builds: names of buildpacks, mirrors, setups of apps."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.apps import App
from pogo.model.base import Base, Record
from pogo.model.deploys import Build


class BuildpackName(Record, Base):
    """A registered name of the operator's, which goes before a built-in one. name: `ns/name`.

    url: of a git repository (with an optional `#ref`) or of a .tgz. revision: counts its addresses, from 1.
    """

    __tablename__ = "buildpack_names"

    name: Mapped[str] = mapped_column(unique=True)
    url: Mapped[str]
    description: Mapped[str]
    revision: Mapped[int] = mapped_column(default=1)


class Mirror(Record, Base):
    """Addresses that begin with `prefix` are fetched from `url` + the rest instead."""

    __tablename__ = "mirrors"

    prefix: Mapped[str] = mapped_column(unique=True)
    url: Mapped[str]


class AppSetup(Record, Base):
    """An app made from a source with an app.json (`POST /app-setups`). status: pending, succeeded, failed.

    formation: {type: {"quantity": …, "size": …}} to set after the build. postdeploy: command, run once after
    that in the one-off dyno `dyno_id`; exit_code: its status.
    """

    __tablename__ = "app_setups"

    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    build_id: Mapped[str | None] = mapped_column(ForeignKey("builds.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(default="pending", index=True)
    failure: Mapped[str | None]
    manifest_errors: Mapped[list[str]] = mapped_column(JSON, default=list)
    formation: Mapped[dict[str, dict[str, object]]] = mapped_column(JSON, default=dict)
    postdeploy: Mapped[str | None]
    dyno_id: Mapped[str | None]
    exit_code: Mapped[int | None]
    output: Mapped[str] = mapped_column(default="")
    success_url: Mapped[str | None]
    app: Mapped[App] = relationship(lazy="joined")
    build: Mapped[Build | None] = relationship(lazy="joined")
