"""Promotions in pipelines; what the apps of a pipeline have run last."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me
from pogo.api.resources.pipelines import ThePipeline
from pogo.api.show import deploys
from pogo.api.show import pipelines as show
from pogo.model import App, Pipeline, Promotion
from pogo.rules import permissions
from pogo.services import access, apps, builds, pipelines, promotions, releases
from pogo.services.releases import Newest

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
    return _releases(me, pipeline, lambda one: one.latest)


@router.get("/pipelines/{pipeline}/latest-deployments")
def latest_deployments(me: Me, pipeline: ThePipeline) -> Response:
    """The last releases of new code."""
    return _releases(me, pipeline, lambda one: one.deployed)


def _apps(me: Caller, pipeline: Pipeline) -> list[App]:
    """Those of the pipeline's apps that the caller has access to, as they came into it."""
    db = me.platform.db
    seen = {app.id: app for app in apps.list_apps(db, me.user, everyone=me.user.admin)}
    return [seen[one.app_id] for one in pipelines.couplings(db, [pipeline]) if one.app_id in seen]


def _releases(me: Caller, pipeline: Pipeline, choose: Callable[[Newest], str | None]) -> Response:
    settings, db, found = me.platform.settings, me.platform.db, _apps(me, pipeline)
    newest = releases.newest(db, [app.id for app in found])
    chosen = {app_id: choose(one) for app_id, one in newest.items()}
    rows = releases.get_releases(db, [id for id in chosen.values() if id])

    def shown(app: App) -> dict[str, object]:
        return deploys.release(settings, app, rows[chosen[app.id] or ""], newest[app.id].current)

    return listing(me, [app for app in found if chosen.get(app.id) in rows], shown)


@router.get("/pipelines/{pipeline}/latest-builds")
def latest_builds(me: Me, pipeline: ThePipeline) -> Response:
    settings = me.platform.settings
    found = builds.latest_builds(me.platform.db, [app.id for app in _apps(me, pipeline)])
    return listing(me, found, lambda pair: deploys.build(settings, *pair))
