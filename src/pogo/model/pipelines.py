"""Pipelines: apps that the same code goes through, stage by stage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from pogo.model.apps import App
from pogo.model.base import Base, EncryptedJson, Record
from pogo.model.deploys import Release
from pogo.model.people import User
from pogo.model.setups import AppSetup
from pogo.model.teams import Team


class Pipeline(Record, Base):
    """Owned by a user or by a team. config: stage → config vars, for what is made in that stage (review apps).

    review: settings of its review apps (`rules.pipelines.REVIEW`), None while there are none.
    """

    __tablename__ = "pipelines"

    name: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"), index=True)
    config: Mapped[dict[str, dict[str, str]]] = mapped_column(EncryptedJson, default=dict)
    review: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    user: Mapped[User | None] = relationship(lazy="joined")
    team: Mapped[Team | None] = relationship(lazy="joined")


class PipelineCoupling(Record, Base):
    """An app in a stage of a pipeline; it is in one pipeline at most."""

    __tablename__ = "pipeline_couplings"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id", ondelete="CASCADE"), index=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), unique=True)
    stage: Mapped[str]
    app: Mapped[App] = relationship(lazy="joined")
    pipeline: Mapped[Pipeline] = relationship(lazy="joined")


class Promotion(Record, Base):
    """The slug of one app's release, released by others. What became of it is what became of the targets."""

    __tablename__ = "pipeline_promotions"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    release_id: Mapped[str] = mapped_column(ForeignKey("releases.id", ondelete="CASCADE"), index=True)
    targets: Mapped[list[PromotionTarget]] = relationship(lazy="selectin", order_by="PromotionTarget.created_at")


class PromotionTarget(Record, Base):
    """release: what the promotion made of the app. failure: why it made none."""

    __tablename__ = "pipeline_promotion_targets"

    promotion_id: Mapped[str] = mapped_column(ForeignKey("pipeline_promotions.id", ondelete="CASCADE"), index=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id", ondelete="CASCADE"), index=True)
    release_id: Mapped[str | None] = mapped_column(ForeignKey("releases.id", ondelete="CASCADE"), index=True)
    failure: Mapped[str | None]
    release: Mapped[Release | None] = relationship(lazy="joined")


class ReviewApp(Record, Base):
    """An app made of a branch, in the stage `review`. Its state follows from its app and from the app's setup."""

    __tablename__ = "review_apps"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipelines.id", ondelete="CASCADE"), index=True)
    app_id: Mapped[str | None] = mapped_column(ForeignKey("apps.id", ondelete="SET NULL"), index=True)
    setup_id: Mapped[str | None] = mapped_column(ForeignKey("app_setups.id", ondelete="SET NULL"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    branch: Mapped[str]
    pr_number: Mapped[int | None]
    app: Mapped[App | None] = relationship(lazy="joined")
    setup: Mapped[AppSetup | None] = relationship(lazy="joined")
    user: Mapped[User] = relationship(lazy="joined")
