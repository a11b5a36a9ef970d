"""node_modules: installed by npm, or copied from the last build where nothing about it changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pack import archive
from pack.steps import BuildFailed, run, topic, warning

NPM_CACHE_LIMIT = 500 << 20
_DECLARED = (
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
    "overrides",
    "bundledDependencies",
)
_OWN_SCRIPTS = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")


def lock_file(build_dir: Path) -> Path | None:
    found = (build_dir / name for name in ("npm-shrinkwrap.json", "package-lock.json"))
    return next((path for path in found if path.is_file()), None)


def key(build_dir: Path, manifest: Mapping[str, Any], versions: tuple[str, str], stack: str) -> str | None:
    """Hash of all that decides about node_modules; None where files or scripts of the app itself take part."""
    lock = lock_file(build_dir)
    scripts = manifest.get("scripts") or {}
    if lock is None or any(name in scripts for name in _OWN_SCRIPTS) or manifest.get("workspaces"):
        return None
    text = lock.read_text(errors="replace")
    if '"file:' in text or '"link": true' in text or (build_dir / "node_modules").exists():
        return None
    npmrc = build_dir / ".npmrc"
    parts = [*versions, stack, text, npmrc.read_text(errors="replace") if npmrc.is_file() else ""]
    parts += [json.dumps(manifest.get(name), sort_keys=True) for name in _DECLARED]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def restore(build_dir: Path, cache: Path, wanted_key: str | None) -> bool:
    """Bring back the node_modules of the last build if everything that decides about them is the same."""
    key_file = cache / "key"
    if not wanted_key or not key_file.is_file() or key_file.read_text() != wanted_key:
        return False
    if not archive.load(cache / "node_modules.tar.zst", build_dir / "node_modules"):
        return False
    topic("Using the node_modules of the last build (package-lock.json has not changed)")
    return True


def install(build_dir: Path, cache: Path, wanted_key: str | None, env: Mapping[str, str]) -> None:
    """Fill node_modules by npm, development dependencies included. Raises BuildFailed."""
    (cache / "key").unlink(missing_ok=True)
    npm_cache = Path(env["NPM_CONFIG_CACHE"])
    archive.load(cache / "npm-cache.tar.zst", npm_cache)
    verb = "ci" if lock_file(build_dir) else "install"
    topic(f"Installing node modules: npm {verb}")
    for name in ("yarn.lock", "pnpm-lock.yaml"):
        if (build_dir / name).is_file() and verb == "install":
            warning(f"{name} is not read by this buildpack: npm chooses the versions. Commit a package-lock.json.")
    if run(["npm", verb, "--include=dev"], build_dir, env):
        raise BuildFailed(f"npm {verb} failed; its reason is above.")
    shutil.rmtree(npm_cache / "_logs", ignore_errors=True)
    if npm_cache.is_dir() and _size(npm_cache) < NPM_CACHE_LIMIT:
        archive.save(npm_cache, cache / "npm-cache.tar.zst")
    if wanted_key and (build_dir / "node_modules").is_dir():
        archive.save(build_dir / "node_modules", cache / "node_modules.tar.zst")
        (cache / "key").write_text(wanted_key)


def prune(build_dir: Path, manifest: Mapping[str, Any], env: Mapping[str, str]) -> None:
    """Remove development dependencies, which only the build needed. Raises BuildFailed."""
    if not manifest.get("devDependencies") or not (build_dir / "node_modules").is_dir():
        return
    topic("Pruning devDependencies")
    if run(["npm", "prune", "--omit=dev", "--ignore-scripts"], build_dir, env):
        raise BuildFailed("npm prune failed; its reason is above.")


def _size(directory: Path) -> int:
    return sum(Path(where, name).lstat().st_size for where, _, names in os.walk(directory) for name in names)
