"""Pipelines: their stages, what is promoted where, what a review app is made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pogo.errors import InvalidParams
from pogo.rules.names import check_own_name

STAGES = ("test", "review", "development", "staging", "production")
DOWNSTREAM = {"review": "staging", "development": "staging", "staging": "production"}
"""Stage → the stage that it promotes to (Heroku)."""

REVIEW: Mapping[str, Any] = {
    "automatic_review_apps": False,
    "base_name": None,
    "deploy_target": None,
    "destroy_stale_apps": False,
    "repo": None,
    "stale_days": 5,
    "wait_for_ci": False,
}
"""Settings of review apps, with their defaults."""


def check_name(name: str) -> None:
    """Raises InvalidParams."""
    check_own_name(name, "pipeline")


def check_stage(stage: str) -> None:
    """Raises InvalidParams."""
    if stage not in STAGES:
        raise InvalidParams(f"Stage {stage!r} is not one of {', '.join(STAGES)}.")


def check_targets(source: str, source_stage: str, targets: Iterable[tuple[str, str | None]]) -> None:
    """Whether an app may be promoted to others. targets: (app, its stage in the same pipeline, None for none).

    Raises InvalidParams. Heroku: an app cannot be promoted to itself, and not outside of its pipeline.
    """
    seen = set()
    for app, stage in targets:
        if stage is None:
            raise InvalidParams(f"Cannot promote to {app}: it is not in the pipeline of {source}.")
        if app == source:
            raise InvalidParams(f"Cannot promote {source} to itself.")
        if app in seen:
            raise InvalidParams(f"Cannot promote to {app} twice at a time.")
        seen.add(app)
    if not seen:
        where = DOWNSTREAM.get(source_stage)
        hint = f"the stage {where} of its pipeline has no app" if where else f"nothing comes after {source_stage}"
        raise InvalidParams(f"Cannot promote {source}: {hint}.")


def target_status(release: str | None, failure: str | None) -> str:
    """pending, succeeded or failed. release: status of the release that was made."""
    if failure is not None or release is None:
        return "failed"
    return "failed" if release in ("failed", "expired") else release


def promotion_status(targets: Iterable[str]) -> str:
    """pending or completed, of the statuses of its targets."""
    return "pending" if "pending" in set(targets) else "completed"


def review_name(base: str, pr_number: int | None, suffix: str) -> str:
    """The name of a review app: `base-pr-12`, without a number `base-` and random letters (Heroku). At most 30."""
    tail = f"-pr-{pr_number}" if pr_number else f"-{suffix}"
    return base[: 30 - len(tail)].rstrip("-") + tail


def review_status(*, setup: str | None, app_there: bool) -> str:
    """pending, creating, created, errored or deleted (as the API has it). setup: status of the app's setup."""
    if not app_there:
        return "deleted"
    return {"pending": "creating", "succeeded": "created", "failed": "errored"}.get(setup or "", "created")
