"""What a platform offers whatever is deployed: stacks, sizes, regions, generations, buildpacks."""

from __future__ import annotations

from typing import Any

from pogo.api.show.shapes import named
from pogo.rules import sizes

SINCE = "2026-01-01T00:00:00Z"
GENERATION = named("generation", "cedar")
REGION = named("region", "local")
REGION_ALIASES = ("local", "us", "eu")
REGISTRY_BLOBS = "https://buildpack-registry.s3.amazonaws.com/buildpacks"


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


def registered_buildpack(name: str, description: str) -> dict[str, Any]:
    """As the buildpack registry shows it. blob_url: what clients send back as the buildpack to use."""
    namespace, _, short = name.partition("/")
    return {
        **named("buildpack", name),
        "blob_url": f"{REGISTRY_BLOBS}/{name}.tgz",
        "category": "languages",
        "description": description,
        "license": None,
        "name": short,
        "namespace": namespace,
        "source": {"type": "platform"},
        "support": {"method": "none"},
    }
