"""What the builder in the container is told. What its end means: `build_ends`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pogo.rules.buildpacks import BUILT_IN, Registry


def build_file(
    *,
    build_id: str,
    stack: tuple[str, str],
    source_version: str | None,
    buildpacks: Sequence[str],
    config: Mapping[str, str],
    env: Mapping[str, str],
    slug_max_mb: int,
    memory_mb: int = 0,
    registry: Registry = BUILT_IN,
    kind: str = "app",
    pushed: bool = False,
    first: bool = False,
) -> bytes:
    """build.json for pogo.build. stack: our name and the value of STACK for buildpacks.

    config: the app's config vars, shown to packs as files (ENV_DIR). env: of the operator (proxies,
    registries), exported to packs. memory_mb: the build's limit, to be named when it is exceeded.
    registry: names and mirrors that the operator has added. kind: `slug` for an archive that is only
    checked and packed. pushed: by git. first: nothing was deployed yet.
    """
    document = {
        "build_id": build_id.replace("-", ""),
        "stack_name": stack[0],
        "stack": stack[1],
        "source_version": source_version,
        "request_id": build_id,
        "buildpacks": list(buildpacks),
        "config": dict(config),
        "env": dict(env),
        "slug_max_mb": slug_max_mb,
        "memory_mb": memory_mb,
        "registry": dict(registry.names),
        "mirrors": dict(registry.mirrors),
        "kind": kind,
        "pushed": pushed,
        "first": first,
    }
    return json.dumps(document).encode()
