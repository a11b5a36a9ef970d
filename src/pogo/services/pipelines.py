"""Pipelines and the apps in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import or_, select

from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import App, Pipeline, PipelineCoupling, Team, TeamMember, User
from pogo.rules import names, permissions
from pogo.rules import pipelines as rules
from pogo.services import unique_names
from pogo.services.database import Database
from pogo.services.membership import apps_of, role_in


def list_pipelines(db: Database, user: User, name: str | None = None) -> list[Pipeline]:
    """Those that the user sees, by name: his own, those of his teams, and those of apps that he has access to."""
    with db.read() as session:
        query = select(Pipeline).order_by(Pipeline.name)
        if not user.admin:
            teams = select(TeamMember.team_id).where(TeamMember.user_id == user.id)
            coupled = select(PipelineCoupling.pipeline_id).where(PipelineCoupling.app_id.in_(apps_of(user)))
            mine = or_(Pipeline.user_id == user.id, Pipeline.team_id.in_(teams), Pipeline.id.in_(coupled))
            query = query.where(mine)
        if name is not None:
            query = query.where(or_(Pipeline.name == name, Pipeline.id == name))
        return list(session.scalars(query))


def find_pipeline(db: Database, user: User, name_or_id: str) -> Pipeline:
    """NotFound where there is none, or none that the user sees."""
    found = list_pipelines(db, user, name_or_id)
    if not found:
        raise NotFound("pipeline", "Couldn't find that pipeline.")
    return found[0]


def require_owner(db: Database, pipeline: Pipeline, user: User) -> None:
    """Raises Forbidden for who neither owns the pipeline nor may create in the team that does."""
    with db.read() as session:
        role = role_in(session, pipeline.team_id, user.id)
    if not (user.admin or pipeline.user_id == user.id or permissions.may_create(role)):
        raise Forbidden(f"Only the owner of the pipeline {pipeline.name} may do that.")


def create_pipeline(db: Database, user: User, name: str, team: Team | None = None) -> Pipeline:
    """InvalidParams: bad or taken name."""
    rules.check_name(name)
    with db.write() as session:
        unique_names.check_free(session, Pipeline, name)
        owner = None if team else session.get_one(User, user.id)
        pipeline = Pipeline(name=name, user=owner, team=session.get_one(Team, team.id) if team else None)
        session.add(pipeline)
        session.flush()
        return pipeline


def rename_pipeline(db: Database, pipeline: Pipeline, name: str) -> Pipeline:
    rules.check_name(name)
    return unique_names.rename(db, pipeline, name)


def destroy_pipeline(db: Database, pipeline: Pipeline) -> None:
    """The apps stay."""
    with db.write() as session:
        session.delete(session.get_one(Pipeline, pipeline.id))


def give_away(db: Database, pipeline: Pipeline, *, user: User | None, team: Team | None) -> Pipeline:
    """To a user or to a team."""
    with db.write() as session:
        row = session.get_one(Pipeline, pipeline.id)
        row.user = session.get_one(User, user.id) if user else None
        row.team = session.get_one(Team, team.id) if team else None
        return row


def change_config(db: Database, pipeline: Pipeline, stage: str, changes: dict[str, object]) -> dict[str, str]:
    """Set and remove config vars of a stage. Returns all of them. InvalidParams."""
    rules.check_stage(stage)
    checked = names.check_config(changes)
    with db.write() as session:
        row = session.get_one(Pipeline, pipeline.id)
        merged: Mapping[str, str | None] = {**row.config.get(stage, {}), **checked}
        kept = {key: value for key, value in merged.items() if value is not None}
        row.config = {**row.config, stage: kept}
        return kept


def couple(db: Database, pipeline: Pipeline, app: App, stage: str) -> PipelineCoupling:
    """InvalidParams: no such stage, or the app is in a pipeline already."""
    rules.check_stage(stage)
    with db.write() as session:
        if session.scalar(select(PipelineCoupling.id).where(PipelineCoupling.app_id == app.id)):
            raise InvalidParams(f"App {app.name} is in a pipeline already. Remove it from there first.")
        coupling = PipelineCoupling(
            app=session.get_one(App, app.id), pipeline=session.get_one(Pipeline, pipeline.id), stage=stage
        )
        session.add(coupling)
        session.flush()
        return coupling


def move(db: Database, coupling: PipelineCoupling, stage: str) -> PipelineCoupling:
    rules.check_stage(stage)
    with db.write() as session:
        row = session.get_one(PipelineCoupling, coupling.id)
        row.stage = stage
        return row


def uncouple(db: Database, coupling: PipelineCoupling) -> None:
    with db.write() as session:
        session.delete(session.get_one(PipelineCoupling, coupling.id))


def couplings(db: Database, pipelines: Collection[Pipeline]) -> list[PipelineCoupling]:
    """All of these pipelines, of living apps."""
    with db.read() as session:
        query = select(PipelineCoupling).join(App, App.id == PipelineCoupling.app_id)
        living = query.where(
            PipelineCoupling.pipeline_id.in_([one.id for one in pipelines]), App.destroyed_at.is_(None)
        )
        return list(session.scalars(living.order_by(PipelineCoupling.created_at)))


def coupling_of(db: Database, app: App) -> PipelineCoupling:
    with db.read() as session:
        found = session.scalar(select(PipelineCoupling).where(PipelineCoupling.app_id == app.id))
    if found is None:
        raise NotFound("pipeline_coupling", f"App {app.name} is not in a pipeline.")
    return found


def find_coupling(db: Database, user: User, coupling_id: str) -> PipelineCoupling:
    """By id, in a pipeline that the user sees."""
    with db.read() as session:
        found = session.get(PipelineCoupling, coupling_id)
    if found is None or found.app.destroyed_at or not list_pipelines(db, user, found.pipeline_id):
        raise NotFound("pipeline_coupling", "Couldn't find that pipeline coupling.")
    return found
