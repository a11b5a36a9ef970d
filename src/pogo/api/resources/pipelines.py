"""Pipelines, the apps in them, their config vars."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query, Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.show import catalog
from pogo.api.show import pipelines as show
from pogo.errors import Forbidden
from pogo.model import Pipeline, PipelineCoupling, Team, User
from pogo.rules import permissions
from pogo.services import access, people, pipelines, teams

router = resource_router()


class Owner(Body):
    id: str
    type: Literal["team", "user"]


class NewPipeline(Body):
    name: str
    owner: Owner | None = None


class PipelineChange(Body):
    name: str | None = None


class NewCoupling(Body):
    """app: name or id. pipeline: id or name."""

    app: str
    pipeline: str
    stage: str


class CouplingChange(Body):
    stage: str


class PipelineRef(Body):
    id: str


class NewTransfer(Body):
    pipeline: PipelineRef
    new_owner: Owner


def _pipeline(me: Me, pipeline: str) -> Pipeline:
    return pipelines.find_pipeline(me.platform.db, me.user, pipeline)


def _own_pipeline(me: Me, pipeline: str) -> Pipeline:
    found = _pipeline(me, pipeline)
    pipelines.require_owner(me.platform.db, found, me.user)
    return found


ThePipeline = Annotated[Pipeline, Depends(_pipeline)]
"""The pipeline that the path names; the caller sees it. NotFound."""
OwnPipeline = Annotated[Pipeline, Depends(_own_pipeline)]
"""The same, for what only its owner may do. Forbidden."""


@router.get("/pipelines")
def index(
    me: Me,
    name: Annotated[str | None, Query(alias="eq[name]")] = None,
    id: Annotated[str | None, Query(alias="eq[id]")] = None,
) -> Response:
    rows = pipelines.list_pipelines(me.platform.db, me.user, name if name is not None else id)
    return listing(me, rows, show.pipeline, "name", "id")


@router.post("/pipelines")
def create(me: Me, body: NewPipeline) -> Response:
    user, team = _owner(me, body.owner)
    if user and user.id != me.user.id:
        raise Forbidden("A pipeline is made for oneself or for a team; give it to others by a transfer.")
    return answer(show.pipeline(pipelines.create_pipeline(me.platform.db, me.user, body.name, team)), 201)


def _owner(me: Caller, owner: Owner | None) -> tuple[User | None, Team | None]:
    """Who shall own a pipeline. Forbidden: a team where the caller may not make any."""
    if owner is None:
        return me.user, None
    if owner.type == "user":
        return people.find_user(me.platform.db, owner.id), None
    team, role = teams.find_team(me.platform.db, me.user, owner.id)
    if not me.user.admin and not permissions.may_create(role):
        raise Forbidden(f"Only admins and members of the team {team.name} may make pipelines for it.")
    return None, team


@router.get("/pipelines/{pipeline}")
def info(pipeline: ThePipeline) -> Response:
    return answer(show.pipeline(pipeline))


@router.patch("/pipelines/{pipeline}")
def update(me: Me, pipeline: OwnPipeline, body: PipelineChange) -> Response:
    name = body.name if body.name is not None else pipeline.name
    return answer(show.pipeline(pipelines.rename_pipeline(me.platform.db, pipeline, name)))


@router.delete("/pipelines/{pipeline}")
def destroy(me: Me, pipeline: OwnPipeline) -> Response:
    pipelines.destroy_pipeline(me.platform.db, pipeline)
    return answer(show.pipeline(pipeline))


@router.post("/pipeline-transfers")
def transfer(me: Me, body: NewTransfer) -> Response:
    pipeline = _own_pipeline(me, body.pipeline.id)
    before = show.pipeline(pipeline)["owner"]
    user, team = _owner(me, body.new_owner)
    after = show.pipeline(pipelines.give_away(me.platform.db, pipeline, user=user, team=team))["owner"]
    return answer({"pipeline": {"id": pipeline.id}, "previous_owner": before, "new_owner": after}, 201)


@router.get("/pipelines/{pipeline}/stage/{stage}/config-vars")
def config(me: Me, pipeline: OwnPipeline, stage: str) -> Response:
    return answer(pipelines.change_config(me.platform.db, pipeline, stage, {}))


@router.patch("/pipelines/{pipeline}/stage/{stage}/config-vars")
def set_config(me: Me, pipeline: OwnPipeline, stage: str, body: dict[str, str | None]) -> Response:
    return answer(pipelines.change_config(me.platform.db, pipeline, stage, dict(body)))


@router.get("/pipelines/{pipeline}/pipeline-stack")
def stack(me: Me, pipeline: ThePipeline) -> Response:
    """The stack that all of its apps have, if they have the same."""
    names = {one.app.stack for one in pipelines.couplings(me.platform.db, [pipeline])}
    return answer({"stack": catalog.stack_ref(names.pop()) if len(names) == 1 else None})


@router.get("/pipelines/{pipeline}/pipeline-couplings")
def couplings(me: Me, pipeline: ThePipeline) -> Response:
    return _couplings(me, [pipeline])


@router.get("/pipeline-couplings")
@router.get("/users/~/pipeline-couplings")
def all_couplings(me: Me) -> Response:
    return _couplings(me, pipelines.list_pipelines(me.platform.db, me.user))


@router.get("/teams/{team}/pipeline-couplings")
def team_couplings(me: Me, team: str) -> Response:
    found, _ = teams.find_team(me.platform.db, me.user, team)
    mine = pipelines.list_pipelines(me.platform.db, me.user)
    return _couplings(me, [one for one in mine if one.team_id == found.id])


def _couplings(me: Caller, rows: list[Pipeline]) -> Response:
    return listing(me, pipelines.couplings(me.platform.db, rows), show.coupling, "created_at", "id")


@router.get("/apps/{app}/pipeline-couplings")
def coupling_of_app(me: Me, app: TheApp) -> Response:
    """One object, where an app is in a pipeline."""
    return answer(show.coupling(pipelines.coupling_of(me.platform.db, app)))


@router.post("/pipeline-couplings")
def couple(me: Me, body: NewCoupling) -> Response:
    db = me.platform.db
    pipeline = pipelines.find_pipeline(db, me.user, body.pipeline)
    app = access.find_app(db, me.user, body.app)
    access.require(db, app, me.user, permissions.DEPLOY)
    return answer(show.coupling(pipelines.couple(db, pipeline, app, body.stage)), 201)


@router.get("/pipeline-couplings/{coupling}")
def coupling_info(me: Me, coupling: str) -> Response:
    return answer(show.coupling(pipelines.find_coupling(me.platform.db, me.user, coupling)))


@router.patch("/pipeline-couplings/{coupling}")
def move(me: Me, coupling: str, body: CouplingChange) -> Response:
    found = _own_coupling(me, coupling)
    return answer(show.coupling(pipelines.move(me.platform.db, found, body.stage)))


@router.delete("/pipeline-couplings/{coupling}")
def uncouple(me: Me, coupling: str) -> Response:
    found = _own_coupling(me, coupling)
    pipelines.uncouple(me.platform.db, found)
    return answer(show.coupling(found))


def _own_coupling(me: Caller, coupling: str) -> PipelineCoupling:
    """By who may deploy to the app, or owns the pipeline."""
    db = me.platform.db
    found = pipelines.find_coupling(db, me.user, coupling)
    try:
        access.require(db, found.app, me.user, permissions.DEPLOY)
    except Forbidden:
        pipelines.require_owner(db, found.pipeline, me.user)
    return found
