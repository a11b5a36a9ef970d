"""Pipelines as the Platform API shows them."""

from __future__ import annotations

from typing import Any

from pogo.api.show import catalog
from pogo.api.show.shapes import app_ref, time
from pogo.model import Pipeline, PipelineCoupling, Promotion, PromotionTarget
from pogo.rules import pipelines as rules


def pipeline(row: Pipeline) -> dict[str, Any]:
    owner = {"id": row.team_id, "type": "team"} if row.team_id else {"id": row.user_id, "type": "user"}
    return {
        "created_at": time(row.created_at),
        "generation": catalog.GENERATION,
        "id": row.id,
        "name": row.name,
        "owner": owner,
        "updated_at": time(row.updated_at),
    }


def coupling(row: PipelineCoupling) -> dict[str, Any]:
    return {
        "app": app_ref(row.app),
        "created_at": time(row.created_at),
        "id": row.id,
        "pipeline": pipeline(row.pipeline),
        "stage": row.stage,
        "updated_at": time(row.updated_at),
    }


def promotion(row: Promotion, statuses: dict[str, str]) -> dict[str, Any]:
    """statuses: of its targets, by their ids."""
    return {
        "created_at": time(row.created_at),
        "id": row.id,
        "pipeline": {"id": row.pipeline_id},
        "source": {"app": {"id": row.app_id}, "release": {"id": row.release_id}},
        "status": rules.promotion_status(statuses.values()),
        "updated_at": time(row.updated_at),
    }


def target(row: PromotionTarget, statuses: dict[str, str]) -> dict[str, Any]:
    status = statuses[row.id]
    return {
        "app": {"id": row.app_id},
        "error_message": row.failure or ("The release command failed." if status == "failed" else None),
        "id": row.id,
        "pipeline_promotion": {"id": row.promotion_id},
        "release": {"id": row.release_id} if row.release_id else None,
        "status": status,
    }
