"""What is kept for the next build: installed packages, the manager's downloads, directories that the app names."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pack import archive
from pack.steps import detail, topic

from node_pack import commands
from node_pack.project import LIFECYCLE, Project, manifest, own_packages

DOWNLOADS_LIMIT = 500 << 20
_DECLARED = (
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
    "dependenciesMeta",
    "overrides",
    "resolutions",
    "bundledDependencies",
    "bundleDependencies",
    "workspaces",
    "pnpm",
)
_SETTINGS = (".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs", "pnpmfile.js")
_COPIED = ("file:", "portal:", ".", "/")
_PLUG_N_PLAY = (".pnp.cjs", ".pnp.js", ".pnp.loader.mjs", ".yarn/cache", ".yarn/unplugged")
_BERRY_STATE = ".yarn/install-state.gz"


def key(project: Project, versions: Sequence[str], env: Mapping[str, str]) -> str | None:
    """Hash of all that decides about the installed packages; None where files or scripts of the app take part."""
    directory = project.directory
    if not project.lock or (directory / "node_modules").exists() or project.zero_install:
        return None
    parts = [*versions, project.manager, env.get("STACK", ""), (directory / project.lock).read_text(errors="replace")]
    parts += [env.get(name, "") for name in ("NODE_ENV", "NPM_CONFIG_PRODUCTION", "YARN_PRODUCTION")]
    for name in _SETTINGS:
        path = directory / name
        parts.append(path.read_text(errors="replace") if path.is_file() else "")
    for path in own_packages(directory) if project.workspaces else [directory / "package.json"]:
        known = manifest(path.parent)
        if any(name in (known.get("scripts") or {}) for name in LIFECYCLE) or _copies_files(known):
            return None
        parts += [str(path.relative_to(directory)), str(known.get("name")), json.dumps(known.get("bin"))]
        parts += [json.dumps(known.get(name), sort_keys=True) for name in _DECLARED]
    if project.manager == "npm" and not project.workspaces and '"file:' in parts[len(versions) + 2]:
        return None
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _copies_files(known: Mapping[str, Any]) -> bool:
    """Whether a package.json depends on files of the app that are copied; links to workspaces are not."""
    wanted = (known.get(name) or {} for name in ("dependencies", "devDependencies", "optionalDependencies"))
    copied = any(str(value).startswith(_COPIED) for group in wanted for value in group.values())
    return copied or "injected" in json.dumps(known.get("dependenciesMeta"))


def restore(project: Project, cache: Path, wanted_key: str | None) -> bool:
    """Bring back the packages of the last build if everything that decides about them is the same."""
    key_file = cache / "key"
    if not wanted_key or not key_file.is_file() or key_file.read_text() != wanted_key:
        return False
    if not _unpack(cache / "modules.tar.zst", project.directory):
        return False
    what = "packages" if project.plug_n_play else "node_modules"
    topic(f"Using the {what} of the last build ({project.lock} has not changed)")
    return True


def keep(project: Project, cache: Path, work: Path, wanted_key: str | None) -> None:
    """Store what was installed, and what the manager has downloaded for the time when something changes."""
    if wanted_key:
        archive.save(project.directory, cache / "modules.tar.zst", _installed(project))
        (cache / "key").write_text(wanted_key)
    downloads = commands.cache_of(project, work)
    if downloads.is_relative_to(project.directory):
        return
    shutil.rmtree(downloads / "_logs", ignore_errors=True)
    if downloads.is_dir() and _size(downloads) < DOWNLOADS_LIMIT:
        archive.save(downloads, cache / f"{project.manager}-downloads.tar.zst")


def load_downloads(project: Project, cache: Path, work: Path, forget: bool = True) -> None:
    """Give the manager what it downloaded earlier. forget: the installed packages, since they will change."""
    if forget:
        (cache / "key").unlink(missing_ok=True)
    downloads = commands.cache_of(project, work)
    if not downloads.is_relative_to(project.directory):
        archive.load(cache / f"{project.manager}-downloads.tar.zst", downloads)


def _installed(project: Project) -> list[str]:
    """Paths, relative to the app, that the manager has made."""
    found = [name for name in (_PLUG_N_PLAY if project.plug_n_play else ()) if (project.directory / name).exists()]
    if project.berry and (project.directory / _BERRY_STATE).is_file():
        found.append(_BERRY_STATE)
    for path in own_packages(project.directory) if project.workspaces else [project.directory / "package.json"]:
        modules = path.parent / "node_modules"
        if modules.is_dir():
            found.append(str(modules.relative_to(project.directory)))
    return found


def _unpack(file: Path, directory: Path) -> bool:
    """Unpack beside the app first: a damaged archive must not touch it."""
    beside = directory / ".heroku/restored"
    shutil.rmtree(beside, ignore_errors=True)
    if not archive.load(file, beside):
        shutil.rmtree(beside, ignore_errors=True)
        return False
    _move(beside, directory)
    shutil.rmtree(beside)
    return True


def _move(source: Path, target: Path) -> None:
    """Move what is in `source` into `target`; directories that both have are merged, files replaced."""
    for path in list(source.iterdir()):
        there = target / path.name
        if path.is_dir() and not path.is_symlink() and there.is_dir() and not there.is_symlink():
            _move(path, there)
        else:
            path.replace(there)


def named_directories(project: Project) -> list[str]:
    """`cacheDirectories` of package.json that are safe to keep: relative, inside of the app, not node_modules."""
    given = project.manifest.get("cacheDirectories") or project.manifest.get("cache_directories") or []
    found = []
    for name in [*(given if isinstance(given, list) else []), "bower_components"]:
        path = Path(str(name))
        if path.is_absolute() or ".." in path.parts or str(path) == ".":
            detail(f"cacheDirectories: {name} is not a directory of the app")
        elif path.parts[0] != "node_modules" or len(path.parts) > 1:
            found.append(str(path))
    return found


def restore_directories(project: Project, cache: Path) -> None:
    """Bring back the directories that package.json names and that the app does not have itself."""
    file = cache / "directories.tar.zst"
    names = [name for name in named_directories(project) if not (project.directory / name).exists()]
    if not names or not file.is_file():
        return
    beside = project.directory / ".heroku/restored"
    if archive.load(file, beside):
        for name in names:
            if (beside / name).exists():
                detail(f"Restoring {name}, as cacheDirectories says")
                (project.directory / name).parent.mkdir(parents=True, exist_ok=True)
                (beside / name).rename(project.directory / name)
    shutil.rmtree(beside, ignore_errors=True)


def keep_directories(project: Project, cache: Path) -> None:
    file = cache / "directories.tar.zst"
    names = [name for name in named_directories(project) if (project.directory / name).exists()]
    if names:
        archive.save(project.directory, file, names)
    else:
        file.unlink(missing_ok=True)


def _size(directory: Path) -> int:
    return sum(Path(where, name).lstat().st_size for where, _, names in os.walk(directory) for name in names)
