"""What pogod asks for: build.json, and the places inside the build container."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from pogo.rules.buildpacks import BUILT_IN, Registry


@dataclass(frozen=True)
class Places:
    """Directories of the build container; tests put others in their place."""

    inputs: Path = Path("/pogo/in")
    outputs: Path = Path("/pogo/out")
    bundled: Path = Path("/pogo/buildpacks")
    tmp: Path = Path("/tmp")  # noqa: S108  the build container's own
    app: Path = Path("/app")

    @property
    def kept(self) -> Path:
        """What the next build finds again: the app's CACHE_DIR, and copies of buildpacks."""
        return self.tmp / "pogo-kept"

    @property
    def cache(self) -> Path:
        return self.kept / "cache"

    @property
    def packs(self) -> Path:
        return self.kept / "packs"

    @property
    def slug(self) -> Path:
        """The tree that becomes the slug, holding `app`."""
        return self.tmp / "pogo-slug"

    @property
    def result(self) -> Path:
        """What compile hands to pack."""
        return self.tmp / "pogo-result.json"


@dataclass(frozen=True)
class Request:
    """One build.

    stack: value of STACK (`heroku-24`). stack_name: `pogo-13`. buildpacks: as the user set them.
    config: config vars, shown to packs in ENV_DIR. env: the operator's build environment (proxies,
    certificate authorities, registries), exported to every script. slug_max_mb: limit of the image.
    memory_mb: limit of the build, 0 where it is not known. registry: the operator's names and mirrors.
    kind: `app`, or `slug` for one that was made elsewhere. pushed: by git. first: of this app.
    """

    stack: str
    stack_name: str
    source_version: str = ""
    request_id: str = ""
    buildpacks: tuple[str, ...] = ()
    config: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    slug_max_mb: int = 1024
    build_id: str = "0"
    memory_mb: int = 0
    registry: Registry = BUILT_IN
    kind: str = "app"
    pushed: bool = False
    first: bool = False

    @classmethod
    def load(cls, path: Path) -> Request:
        """Read build.json. Unknown keys are passed over, so an older builder works with a newer pogod."""
        given = json.loads(path.read_text())
        return cls(
            stack=given["stack"],
            stack_name=given["stack_name"],
            source_version=given.get("source_version") or "",
            request_id=given.get("request_id") or "",
            buildpacks=tuple(given.get("buildpacks") or ()),
            config=dict(given.get("config") or {}),
            env=dict(given.get("env") or {}),
            slug_max_mb=int(given.get("slug_max_mb") or 1024),
            build_id=re.sub(r"[^A-Za-z0-9]", "", str(given.get("build_id") or "0")),
            memory_mb=int(given.get("memory_mb") or 0),
            registry=Registry(dict(given.get("registry") or {}), dict(given.get("mirrors") or {})),
            kind=str(given.get("kind") or "app"),
            pushed=bool(given.get("pushed")),
            first=bool(given.get("first")),
        )

    def base_env(self, places: Places) -> dict[str, str]:
        """The environment of every script of a pack. Config vars are not in it (Heroku: only in ENV_DIR)."""
        return {
            **self.env,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(places.app),
            "STACK": self.stack,
            "SOURCE_VERSION": self.source_version,
            "REQUEST_ID": self.request_id,
            "BUILDPACK_LOG_FILE": "/dev/null",
            "DYNO": "build.1",
            "SHELL": "/bin/bash",
            "TERM": "xterm",
        }
