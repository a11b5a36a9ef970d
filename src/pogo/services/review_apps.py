"""Review apps: apps made of a branch, in the stage `review` of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, AppSetup, Pipeline, PipelineCoupling, ReviewApp, User
from pogo.rules import pipelines as rules
from pogo.services.database import Database
from pogo.services.pipelines import list_pipelines


def config(pipeline: Pipeline) -> dict[str, Any]:
    """NotFound while the pipeline has no review apps."""
    if pipeline.review is None:
        raise NotFound("review_app_config", f"Review apps are not enabled for the pipeline {pipeline.name}.")
    return {**rules.REVIEW, **pipeline.review}


def configure(db: Database, pipeline: Pipeline, changes: Mapping[str, Any]) -> Pipeline:
    """Enable review apps, or change how they are made."""
    days = changes.get("stale_days", 5)
    if not 1 <= days <= 30:
        raise InvalidParams("`stale_days` must be 1 to 30.")
    with db.write() as session:
        row = session.get_one(Pipeline, pipeline.id)
        row.review = {**rules.REVIEW, **(row.review or {}), **changes}
        return row


def disable(db: Database, pipeline: Pipeline) -> None:
    """The review apps that are there stay."""
    with db.write() as session:
        session.get_one(Pipeline, pipeline.id).review = None


def record(db: Database, pipeline: Pipeline, setup: AppSetup, user: User, branch: str, number: int | None) -> ReviewApp:
    """Note what an app that was just begun is, and put it into its stage."""
    with db.write() as session:
        app = session.get_one(App, setup.app_id)
        session.add(PipelineCoupling(app=app, pipeline=session.get_one(Pipeline, pipeline.id), stage="review"))
        row = ReviewApp(
            pipeline_id=pipeline.id,
            app=app,
            setup=session.get_one(AppSetup, setup.id),
            user=session.get_one(User, user.id),
            branch=branch,
            pr_number=number,
        )
        session.add(row)
        session.flush()
        return row


def check_free(db: Database, pipeline: Pipeline, branch: str) -> None:
    """Raises InvalidParams: one review app for each branch (Heroku)."""
    for row in list_review_apps(db, pipeline):
        if row.branch == branch and is_there(row):
            raise InvalidParams(f"There is a review app of {branch} already: {row.app.name if row.app else row.id}.")


def is_there(row: ReviewApp) -> bool:
    return row.app is not None and row.app.destroyed_at is None


def list_review_apps(db: Database, pipeline: Pipeline) -> list[ReviewApp]:
    """Those whose apps are there."""
    with db.read() as session:
        query = select(ReviewApp).where(ReviewApp.pipeline_id == pipeline.id).order_by(ReviewApp.created_at)
        return [row for row in session.scalars(query) if is_there(row)]


def find_review_app(db: Database, user: User, id: str) -> ReviewApp:
    """NotFound, also where the user does not see its pipeline."""
    with db.read() as session:
        row = session.get(ReviewApp, id)
    if row is None or not list_pipelines(db, user, row.pipeline_id):
        raise NotFound("review_app", "Couldn't find that review app.")
    return row


def review_app_of(db: Database, app: App) -> ReviewApp:
    with db.read() as session:
        row = session.scalar(select(ReviewApp).where(ReviewApp.app_id == app.id))
    if row is None:
        raise NotFound("review_app", f"{app.name} is not a review app.")
    return row
