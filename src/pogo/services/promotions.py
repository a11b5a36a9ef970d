"""Promotions: other apps release the slug that one app runs, with config vars of their own. Nothing is built."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from pogo.errors import InvalidParams, NotFound, PogoError
from pogo.model import App, Pipeline, PipelineCoupling, Promotion, PromotionTarget, Release, User
from pogo.rules import pipelines as rules
from pogo.services import releases
from pogo.services.database import Database
from pogo.services.pipelines import list_pipelines


def stages(db: Database, pipeline: Pipeline, apps: Sequence[App]) -> dict[str, str]:
    """Stage of each app that is in the pipeline, by app id."""
    with db.read() as session:
        mine = (PipelineCoupling.pipeline_id == pipeline.id, PipelineCoupling.app_id.in_([app.id for app in apps]))
        return {row.app_id: row.stage for row in session.scalars(select(PipelineCoupling).where(*mine))}


def promote(
    db: Database, user: User, pipeline: Pipeline, source: App, targets: Sequence[App], release: Release | None = None
) -> Promotion:
    """Release the slug of the source's current release, or of `release`, in all targets: in one transaction.

    A target where that cannot be done says why; the others go on. InvalidParams where nothing can be promoted.
    """
    found = stages(db, pipeline, [source, *targets])
    if source.id not in found:
        raise InvalidParams(f"App {source.name} is not in the pipeline {pipeline.name}.")
    rules.check_targets(source.name, found[source.id], [(one.name, found.get(one.id)) for one in targets])
    with db.write() as session:
        live = session.get_one(Release, release.id) if release else releases.current(session, source.id)
        if live is None or live.app_id != source.id or live.slug is None or live.status != "succeeded":
            raise InvalidParams(f"Cannot promote {source.name}: it has no release with code. Deploy to it first.")
        slug = releases.kept(session, live.slug.id)
        commit = f" {slug.commit[:8]}" if slug.commit else ""
        promotion = Promotion(pipeline_id=pipeline.id, user_id=user.id, app_id=source.id, release_id=live.id)
        session.add(promotion)
        session.flush()
        for target in targets:
            made = PromotionTarget(app_id=target.id)
            try:
                row = session.get_one(App, target.id)
                if row.destroyed_at:
                    raise InvalidParams(f"The app {target.name} is gone.")
                text = f"Promote {source.name} v{live.version}{commit}"
                made.release = releases.add_release(session, row, user.id, text, slug, row.config)
            except PogoError as failure:
                made.failure = failure.message
            promotion.targets.append(made)
            session.flush()
        return promotion


def find_promotion(db: Database, user: User, promotion_id: str) -> Promotion:
    """With what became of its targets until now. NotFound, also where the user does not see the pipeline."""
    with db.read() as session:
        found = session.get(Promotion, promotion_id)
    if found is None or not list_pipelines(db, user, found.pipeline_id):
        raise NotFound("pipeline_promotion", "Couldn't find that promotion.")
    return found


def statuses(promotion: Promotion) -> dict[str, str]:
    """Status of each target, by the target's id."""
    return {
        one.id: rules.target_status(one.release.status if one.release else None, one.failure)
        for one in promotion.targets
    }
