"""Promotions in pipelines; what the apps of a pipeline have run last."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me
from pogo.api.resources.pipelines import ThePipeline
from pogo.api.show import deploys
from pogo.api.show import pipelines as show
from pogo.errors import Forbidden
from pogo.model import App, Promotion, Release
from pogo.rules import permissions
from pogo.services import access, builds, pipelines, promotions, releases

router = resource_router()


class Ref(Body):
    """id: or name, of an app or pipeline."""

    id: str


class Source(Body):
    """release: the current one of the app, unless another one is given."""

    app: Ref
    release: Ref | None = None


class Target(Body):
    app: Ref


class NewPromotion(Body):
    pipeline: Ref
    source: Source
    targets: list[Target]


@router.post("/pipeline-promotions")
def create(me: Me, body: NewPromotion) -> Response:
    """To who may deploy to every target, and to the source (Heroku)."""
    db = me.platform.db
    pipeline = pipelines.find_pipeline(db, me.user, body.pipeline.id)
    source = _deployable(me, body.source.app.id)
    targets = [_deployable(me, one.app.id) for one in body.targets]
    release = releases.find_release(db, source, body.source.release.id) if body.source.release else None
    made = promotions.promote(db, me.user, pipeline, source, targets, release)
    apps = {app.id: app for app in targets}
    for target in made.targets:
        if target.release:
            announce.released(me, apps[target.app_id], target.release)
    return _one(made, 201)


def _deployable(me: Caller, name_or_id: str) -> App:
    app = access.find_app(me.platform.db, me.user, name_or_id)
    access.require(me.platform.db, app, me.user, permissions.DEPLOY)
    return app


def _one(row: Promotion, status: int = 200) -> Response:
    return answer(show.promotion(row, promotions.statuses(row)), status)


@router.get("/pipeline-promotions/{promotion}")
def info(me: Me, promotion: str) -> Response:
    return _one(promotions.find_promotion(me.platform.db, me.user, promotion))


@router.get("/pipeline-promotions/{promotion}/promotion-targets")
def targets(me: Me, promotion: str) -> Response:
    found = promotions.find_promotion(me.platform.db, me.user, promotion)
    statuses = promotions.statuses(found)
    return listing(me, found.targets, lambda row: show.target(row, statuses), "id")


@router.get("/pipelines/{pipeline}/latest-releases")
def latest_releases(me: Me, pipeline: ThePipeline) -> Response:
    return _releases(me, [(app, rows[-1]) for app, rows in _histories(me, pipeline.id)])


@router.get("/pipelines/{pipeline}/latest-deployments")
def latest_deployments(me: Me, pipeline: ThePipeline) -> Response:
    """The last releases of new code."""
    found = []
    for app, rows in _histories(me, pipeline.id):
        deploys = [row for row, before in zip(rows, [None, *rows], strict=False) if _new_code(row, before)]
        found += [(app, deploys[-1])] if deploys else []
    return _releases(me, found)


def _new_code(row: Release, before: Release | None) -> bool:
    return row.slug_id is not None and (before is None or before.slug_id != row.slug_id)


def _histories(me: Caller, pipeline_id: str) -> list[tuple[App, list[Release]]]:
    return [(app, releases.list_releases(me.platform.db, app)) for app in _apps(me, pipeline_id)]


def _apps(me: Caller, pipeline_id: str) -> list[App]:
    """Those of the pipeline's apps that the caller has access to."""
    db, found = me.platform.db, []
    pipeline = pipelines.find_pipeline(db, me.user, pipeline_id)
    for coupling in pipelines.couplings(db, [pipeline]):
        try:
            access.require(db, coupling.app, me.user, permissions.VIEW)
        except Forbidden:
            continue
        found.append(coupling.app)
    return found


def _releases(me: Caller, rows: Sequence[tuple[App, Release]]) -> Response:
    settings, db = me.platform.settings, me.platform.db
    current = {app.id: releases.current_release(db, app.id) for app, _ in rows}

    def shown(row: tuple[App, Release]) -> dict[str, object]:
        live = current[row[0].id]
        return deploys.release(settings, row[0], row[1], live.id if live else None)

    return listing(me, rows, shown)


@router.get("/pipelines/{pipeline}/latest-builds")
def latest_builds(me: Me, pipeline: ThePipeline) -> Response:
    settings, found = me.platform.settings, []
    for app in _apps(me, pipeline.id):
        rows = builds.list_builds(me.platform.db, app)
        found += [deploys.build(settings, rows[-1], len(rows))] if rows else []
    return listing(me, found, lambda row: row)
