"""Review apps: how a pipeline makes them, and making them from a source. No code host is asked for any."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.resources import app_setups
from pogo.api.resources.app_setups import Wanted
from pogo.api.resources.builds import SourceBlob
from pogo.api.resources.pipelines import OwnPipeline, ThePipeline
from pogo.api.show.shapes import time
from pogo.errors import NotFound
from pogo.model import Pipeline, ReviewApp
from pogo.rules import app_json, permissions
from pogo.rules import pipelines as rules
from pogo.services import access, apps, pipelines, review_apps

router = resource_router()
REPO = 0  # the schema wants a number of a repository; there is none


class Target(Body):
    id: str
    type: str


class Config(Body):
    repo: str | None = None
    automatic_review_apps: bool | None = None
    destroy_stale_apps: bool | None = None
    stale_days: int | None = None
    deploy_target: Target | None = None
    wait_for_ci: bool | None = None
    base_name: str | None = None


class NewReviewApp(Body):
    """environment: config vars beside those of app.json and of the pipeline's stage."""

    branch: str
    pipeline: str
    source_blob: SourceBlob
    pr_number: int | None = None
    environment: dict[str, str] | None = None


@router.get("/pipelines/{pipeline}/review-app-config")
def config(pipeline: ThePipeline) -> Response:
    return answer(_config(pipeline))


@router.post("/pipelines/{pipeline}/review-app-config")
def enable(me: Me, pipeline: OwnPipeline, body: Config) -> Response:
    return answer(_config(review_apps.configure(me.platform.db, pipeline, _given(body))), 201)


@router.patch("/pipelines/{pipeline}/review-app-config")
def configure(me: Me, pipeline: OwnPipeline, body: Config) -> Response:
    return answer(_config(review_apps.configure(me.platform.db, pipeline, _given(body))))


@router.delete("/pipelines/{pipeline}/review-app-config")
def disable(me: Me, pipeline: OwnPipeline) -> Response:
    found = _config(pipeline)
    review_apps.disable(me.platform.db, pipeline)
    return answer(found)


def _given(body: Config) -> dict[str, Any]:
    return {key: value for key, value in body.model_dump().items() if value is not None}


def _config(pipeline: Pipeline) -> dict[str, Any]:
    return {**review_apps.config(pipeline), "pipeline_id": pipeline.id, "repo": {"id": REPO}}


@router.post("/review-apps")
async def create(me: Me, body: NewReviewApp) -> Response:
    """By who may make apps in the pipeline. 201 with a review app that is being made."""
    platform = me.platform
    pipeline = await platform.call(pipelines.find_pipeline, me.user, body.pipeline)
    await platform.call(pipelines.require_owner, pipeline, me.user)
    settings = review_apps.config(pipeline)
    await platform.call(review_apps.check_free, pipeline, body.branch)
    env = {**pipeline.config.get("review", {}), **(body.environment or {})}
    base = settings["base_name"] or pipeline.name
    name = rules.review_name(base, body.pr_number, secrets.token_hex(3))

    def make(manifest: app_json.Manifest, source: str) -> ReviewApp:
        version = body.source_blob.version or body.branch
        wanted = Wanted(name, None, version, env, list(manifest.buildpacks), pipeline.team)
        setup = app_setups.begin(me, wanted, manifest, source)
        return review_apps.record(platform.db, pipeline, setup, me.user, body.branch, body.pr_number)

    return answer(_shown(await app_setups.set_up(me, body.source_blob, make, "review")), 201)


@router.get("/review-apps/{review}")
def info(me: Me, review: str) -> Response:
    return answer(_shown(review_apps.find_review_app(me.platform.db, me.user, review)))


@router.get("/apps/{app}/review-app")
def of_app(me: Me, app: TheApp) -> Response:
    return answer(_shown(review_apps.review_app_of(me.platform.db, app)))


@router.get("/pipelines/{pipeline}/review-apps")
def index(me: Me, pipeline: ThePipeline) -> Response:
    return listing(me, review_apps.list_review_apps(me.platform.db, pipeline), _shown, "created_at", "id")


@router.delete("/review-apps/{review}")
def destroy(me: Me, review: str) -> Response:
    """With its app. By who manages that, or owns the pipeline."""
    db = me.platform.db
    row = review_apps.find_review_app(db, me.user, review)
    if row.app is None or not review_apps.is_there(row):
        raise NotFound("review_app", "That review app is gone already.")
    if permissions.MANAGE not in access.permissions_of(db, row.app, me.user):
        pipelines.require_owner(db, pipelines.find_pipeline(db, me.user, row.pipeline_id), me.user)
    shown = {**_shown(row), "status": "deleting"}
    apps.destroy_app(db, row.app)
    me.platform.hints.wake("dynos", "router", "cleanup")
    return answer(shown)


def _shown(row: ReviewApp) -> dict[str, Any]:
    failed = row.setup is not None and row.setup.status == "failed"
    status = rules.review_status(setup=row.setup.status if row.setup else None, app_there=review_apps.is_there(row))
    return {
        "app": {"id": row.app_id} if row.app_id else None,
        "app_setup": {"id": row.setup_id} if row.setup_id else None,
        "branch": row.branch,
        "created_at": time(row.created_at),
        "creator": {"id": row.user_id, "email": row.user.email},
        "error_status": status if failed else None,
        "fork_repo": None,
        "id": row.id,
        "message": row.setup.failure if row.setup else None,
        "pipeline": {"id": row.pipeline_id},
        "pr_number": row.pr_number,
        "status": status,
        "updated_at": time(row.updated_at),
        "wait_for_ci": False,
    }
