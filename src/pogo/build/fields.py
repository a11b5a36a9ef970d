"""What the operator's build environment takes over from an app's files.

A value in build.env may hold `{package.json:engines.node}`: the file, and the path of a field in its JSON.
A mirror that answers a pack's download needs it where the pack asks for one address for all apps
(docs/official-packs.md: NODE_BINARY_URL).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

_FIELD = re.compile(r"\{([\w-]+\.json):([\w.-]+)\}")


def filled(env: Mapping[str, str], build_dir: Path) -> dict[str, str]:
    """The environment with each such field in its place, percent-encoded; empty where the app has no such text."""
    return {
        name: _FIELD.sub(lambda match: quote(_field(build_dir / match[1], match[2]), safe=""), value)
        for name, value in env.items()
    }


def _field(file: Path, path: str) -> str:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):  # the pack that needs the file says what is wrong with it
        return ""
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""
