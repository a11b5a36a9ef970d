"""What a platform offers whatever is deployed: stacks, sizes, regions, generations."""

from __future__ import annotations

from typing import Any

from pogo.api.show.shapes import named, stable_id, time
from pogo.model import App
from pogo.rules import sizes
from pogo.rules.features import Feature, is_on

SINCE = "2026-01-01T00:00:00Z"
GENERATION = named("generation", "cedar")
REGION = named("region", "local")
REGION_ALIASES = ("local", "us", "eu")


def stack_ref(name: str) -> dict[str, Any]:
    return named("stack", name)


def stack(found: sizes.Stack, default: str) -> dict[str, Any]:
    return {
        **stack_ref(found.name),
        "created_at": SINCE,
        "default": found.name == default,
        "state": "public",
        "updated_at": SINCE,
    }


def feature_id(name: str) -> str:
    return stable_id("feature", name)


def feature(app: App, found: Feature) -> dict[str, Any]:
    return {
        "created_at": time(app.created_at),
        "description": found.description,
        "display_name": found.title,
        "doc_url": "",
        "enabled": is_on(found.name, app.features),
        "feedback_email": "",
        "id": feature_id(found.name),
        "name": found.name,
        "state": found.state,
        "updated_at": time(app.updated_at),
    }


def size_ref(name: str) -> dict[str, Any]:
    return named("dyno-size", name)


def dyno_size(size: sizes.Size) -> dict[str, Any]:
    """memory: GB. A platform of one's own costs nothing by the hour."""
    return {
        **size_ref(size.name),
        "architecture": "any",
        "compute": size.compute,
        "cost": {"cents": 0, "unit": "month"},
        "dedicated": False,
        "generation": GENERATION,
        "memory": size.memory / (1 << 30),
        "precise_dyno_units": size.shares / 256,
        "private_space_only": False,
    }


def region() -> dict[str, Any]:
    return {
        **REGION,
        "country": "Local",
        "created_at": SINCE,
        "description": "This installation",
        "locale": "Local",
        "private_capable": False,
        "provider": {"name": "pogo"},
        "updated_at": SINCE,
    }


def generation() -> dict[str, Any]:
    return {**GENERATION, "created_at": SINCE, "updated_at": SINCE}
