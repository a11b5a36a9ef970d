"""What kind of project an app is: which package manager, which of its flavours. Decides only, runs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack.steps import BuildFailed, detail, warning

LOCKS = {"npm": "package-lock.json", "pnpm": "pnpm-lock.yaml", "yarn": "yarn.lock"}
LIFECYCLE = ("pnpm:devPreinstall", "preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare")

_PNPM_OF_LOCK = {"5": "7.x", "6": "8.x", "9": "10.x"}
_YARN_OF_LOCK = {"4": "2.x || 3.x", "5": "3.x", "6": "3.x", "7": "3.x", "8": "4.x", "9": "4.x", "10": "4.x"}


@dataclass(frozen=True)
class Project:
    """manager: npm, yarn or pnpm. wanted: range of its version, empty for npm's own rule.

    lock: name of the lock file, empty without one. berry: Yarn 2 and later. plug_n_play: that Yarn makes no
    node_modules. zero_install: the packages are in the repository. workspaces: it has packages of its own.
    vendored: version of the Yarn that is in the repository (`yarnPath`).
    """

    directory: Path
    manifest: Mapping[str, Any]
    manager: str
    wanted: str = ""
    lock: str = ""
    berry: bool = False
    plug_n_play: bool = False
    zero_install: bool = False
    workspaces: bool = False
    vendored: str = ""

    def script(self, name: str) -> str:
        return str((self.manifest.get("scripts") or {}).get(name, ""))

    def has_script(self, name: str) -> bool:
        return name in (self.manifest.get("scripts") or {})


def manifest(build_dir: Path) -> dict[str, Any]:
    """package.json. Raises BuildFailed."""
    try:
        found = json.loads((build_dir / "package.json").read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise BuildFailed(f"package.json is not valid: {error}") from error
    if not isinstance(found, dict):
        raise BuildFailed("package.json is not valid: it is not a JSON object.")
    for name in ("engines", "scripts"):
        if not isinstance(found.get(name) or {}, dict):
            raise BuildFailed(f"package.json is not valid: {name} is not an object.")
    return found


def read(build_dir: Path, env: Mapping[str, str]) -> Project:
    """Decide by the lock file, as Heroku does. Raises BuildFailed where more than one manager is named."""
    known = manifest(build_dir)
    _refuse_contradictions(build_dir, known)
    manager = next((name for name, lock in LOCKS.items() if (build_dir / lock).is_file()), "npm")
    lock = LOCKS[manager] if (build_dir / LOCKS[manager]).is_file() else ""
    if (build_dir / "npm-shrinkwrap.json").is_file():
        lock = "npm-shrinkwrap.json"
    wanted = _wanted(known, manager)
    if manager == "pnpm":
        spaces = bool(yaml_value(build_dir / "pnpm-workspace.yaml", "packages"))
        version = yaml_value(build_dir / lock, "lockfileVersion").partition(".")[0]
        return Project(build_dir, known, manager, wanted or _default(manager, _PNPM_OF_LOCK.get(version, "*")), lock,
                       workspaces=spaces)  # fmt: skip
    spaces = bool(known.get("workspaces"))
    if manager == "npm":
        return Project(build_dir, known, manager, wanted, lock, workspaces=spaces)
    text = (build_dir / lock).read_text(errors="replace")
    metadata = re.search(r"^__metadata:\s*\n\s+version:\s*[\"']?(\d+)", text, re.M)
    if not metadata:
        return Project(build_dir, known, manager, wanted or _default(manager, "1.x"), lock, workspaces=spaces)
    return _berry(Project(build_dir, known, manager, wanted, lock, berry=True, workspaces=spaces), metadata[1], env)


def _berry(project: Project, version_of_lock: str, env: Mapping[str, str]) -> Project:
    """Yarn 2 and later: its settings are in .yarnrc.yml. Raises BuildFailed."""
    if env.get("YARN_PRODUCTION"):
        raise BuildFailed(
            "Yarn 2 and later does not know YARN_PRODUCTION. Remove it: pogo config:unset YARN_PRODUCTION\n"
            "To keep devDependencies set YARN2_SKIP_PRUNING=true instead."
        )
    directory = project.directory
    settings = directory / ".yarnrc.yml"
    for name in (".npmrc", ".yarnrc"):
        if (directory / name).is_file():
            warning(f"{name} is not read by Yarn 2 and later: its settings belong into .yarnrc.yml.")
    wanted, vendored = project.wanted, ""
    path = yaml_value(settings, "yarnPath")
    if path and not (directory / path).is_file():
        raise BuildFailed(
            f".yarnrc.yml says yarnPath: {path}, but that file is not there.\n"
            "Commit it (is .yarn/releases in .gitignore?), or remove yarnPath and name the version in packageManager."
        )
    if path:
        wanted = "1.x"  # which hands over to the one of the app
        found = re.search(r"(\d+\.\d+\.\d+)", Path(path).name)
        vendored = found[1] if found else "2.0.0"
    elif re.match(r"\D*1(\.|$)", wanted):
        raise BuildFailed(
            "yarn.lock is of Yarn 2 or later, but package.json asks for Yarn 1 and .yarnrc.yml has no yarnPath.\n"
            'Name the version: "packageManager": "yarn@4.9.4"'
        )
    cache = directory / ".yarn/cache"
    linker = env.get("YARN_NODE_LINKER") or yaml_value(settings, "nodeLinker") or "pnp"
    return Project(
        directory,
        project.manifest,
        "yarn",
        wanted or _default("yarn", _YARN_OF_LOCK.get(version_of_lock, "*")),
        project.lock,
        berry=True,
        plug_n_play=linker == "pnp",
        zero_install=cache.is_dir() and any(cache.iterdir()),
        workspaces=project.workspaces,
        vendored=vendored,
    )


def _refuse_contradictions(build_dir: Path, known: Mapping[str, Any]) -> None:
    found = [name for name, lock in LOCKS.items() if (build_dir / lock).is_file()]
    if len(found) > 1 or (found and (build_dir / "npm-shrinkwrap.json").is_file()):
        names = [LOCKS[name] for name in found]
        names += ["npm-shrinkwrap.json"] if (build_dir / "npm-shrinkwrap.json").is_file() else []
        raise BuildFailed(
            f"Multiple lockfiles found: {', '.join(names)}.\n"
            "Only one package manager can install the dependencies: keep the lock file of the one that you use,\n"
            f"remove the others, and push again: git rm {' '.join(names[1:])}"
        )
    engines = known.get("engines") or {}
    named = {name: f"engines.{name} ({engines[name]})" for name in LOCKS if engines.get(name)}
    field = str(known.get("packageManager") or "")
    manager = field.partition("@")[0]
    if manager in ("yarn", "pnpm"):
        named[manager] = f"packageManager ({field})"
    if len(named) > 1:
        raise BuildFailed(
            "Multiple package managers declared in package.json:\n"
            + "\n".join(f"  {place}" for place in named.values())
            + "\nOnly one of them should be there: remove the others and push again."
        )


def _wanted(known: Mapping[str, Any], manager: str) -> str:
    """The version of the manager that package.json asks for: packageManager, else engines. Raises BuildFailed."""
    engine = str((known.get("engines") or {}).get(manager) or "")
    field = str(known.get("packageManager") or "")
    name, _, version = field.partition("@")
    if not field or name != manager or manager == "npm":
        return engine
    version = re.split(r"[+#]", version)[0]
    if not version:
        raise BuildFailed(f'packageManager in package.json, {field!r}, has no version: write "{manager}@1.2.3".')
    if engine:
        warning(f"package.json names {manager} twice: packageManager ({field}) is used, engines.{manager} is not.")
    return version


def _default(manager: str, wanted: str) -> str:
    detail(f'package.json does not say which {manager}: {wanted} fits its lock file. Name one in "packageManager".')
    return wanted


def yaml_value(path: Path, key: str) -> str:
    """The value of a top-level key of a YAML file if it is a plain one, `[…]` for a list; empty without it."""
    if not path.is_file():
        return ""
    match = re.search(rf"^{key}:[ \t]*(.*)$", path.read_text(errors="replace"), re.M)
    if not match:
        return ""
    value = re.sub(r"\s+#.*", "", match[1]).strip().strip("\"'")
    return value or "[]"


def own_packages(build_dir: Path) -> list[Path]:
    """Every package.json that is the app's own: of its top directory and of its workspaces."""
    found = []
    waiting = [build_dir]
    while waiting:
        directory = waiting.pop()
        if (directory / "package.json").is_file():
            found.append(directory / "package.json")
        for path in sorted(directory.iterdir()):
            if (
                path.is_dir()
                and not path.is_symlink()
                and path.name != "node_modules"
                and not path.name.startswith(".")
            ):
                waiting.append(path)
    return sorted(found)
