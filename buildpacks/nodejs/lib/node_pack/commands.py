"""How npm, Yarn and pnpm are called: to install, to run a script, to remove development dependencies."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from pack.steps import BuildFailed, detail, run, topic, warning

from node_pack.project import LIFECYCLE, Project, manifest, own_packages, yaml_value
from node_pack.semver import Version

_YARN_REGISTRIES = ("https://registry.yarnpkg.com", "https://registry.npmjs.org", "http://registry.npmjs.org")


def environment(project: Project, version: Version, work: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Variables of the manager: where its cache is, no questions, no messages about itself.

    work: directory of caches, the same path in every build, since pnpm remembers it.
    """
    found = {
        "NPM_CONFIG_CACHE": str(work / "npm"),
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "NPM_CONFIG_FUND": "false",
        "NPM_CONFIG_AUDIT": "false",
    }
    if project.manager != "pnpm":  # which would not say anything at all
        found["NPM_CONFIG_LOGLEVEL"] = env.get("NPM_CONFIG_LOGLEVEL", "error")
    registry = env.get("NPM_CONFIG_REGISTRY", "")
    if project.manager == "pnpm":
        for prefix in ("npm_config", "pnpm_config") if version >= (11, 0, 0) else ("npm_config",):
            found[f"{prefix}_store_dir"] = str(work / "pnpm")
            found[f"{prefix}_confirm_modules_purge"] = "false"
            found[f"{prefix}_verify_deps_before_run"] = "false"
            found[f"{prefix}_manage_package_manager_versions"] = "false"  # it is the one that package.json names
            found[f"{prefix}_pm_on_fail"] = "ignore"
            if registry:
                found[f"{prefix}_registry"] = registry
    if project.manager == "yarn":
        found["YARN_CACHE_FOLDER"] = str(cache_of(project, work))
    if project.berry:
        found.update(
            YARN_ENABLE_GLOBAL_CACHE="false", YARN_ENABLE_TELEMETRY="0", YARN_GLOBAL_FOLDER=str(work / "berry")
        )
        if registry and not yaml_value(project.directory / ".yarnrc.yml", "npmRegistryServer"):
            found["YARN_NPM_REGISTRY_SERVER"] = registry
        if project.zero_install:
            found["YARN_ENABLE_IMMUTABLE_CACHE"] = env.get("YARN_ENABLE_IMMUTABLE_CACHE", "true")
    elif project.manager == "yarn" and registry:
        found["npm_config_registry"] = registry
    return found


def cache_of(project: Project, work: Path) -> Path:
    """Where the manager keeps what it downloaded."""
    if project.berry and (project.plug_n_play or project.zero_install):
        return project.directory / ".yarn/cache"  # the app runs from it
    return work / project.manager


def install(project: Project, version: Version, env: Mapping[str, str]) -> None:
    """Install everything that the build needs, development dependencies included. Raises BuildFailed."""
    directory = project.directory
    checked_in = (directory / "node_modules").is_dir()
    if checked_in:
        warning("node_modules is checked into source control. Remove it: git rm -r --cached node_modules")
        if project.manager != "npm" and env.get("SKIP_NODE_MODULES_CHECK") != "true":
            shutil.rmtree(directory / "node_modules")
    if project.manager == "npm" and checked_in:
        topic("Rebuilding native modules: npm rebuild")
        if run(["npm", "rebuild"], directory, env):
            raise BuildFailed("npm rebuild failed; its reason is above.")
    command = install_command(project, version, env, checked_in)
    topic(f"Installing node modules: {' '.join(command[:2])}" + (f" ({project.lock})" if project.lock else ""))
    with LockOfYarn1(project, env):
        status = run(command, directory, env)
    if status:
        raise BuildFailed(f"{' '.join(command[:2])} failed; its reason is above.")


def install_command(project: Project, version: Version, env: Mapping[str, str], checked_in: bool) -> list[str]:
    match project.manager:
        case "pnpm":
            reporter = env.get("PNPM_INSTALL_REPORTER", "")
            shown = [f"--reporter={reporter}"] if reporter in ("default", "ndjson", "append-only", "silent") else []
            return ["pnpm", "install", "--prod=false", "--frozen-lockfile", *shown]
        case "yarn" if project.berry:
            return ["yarn", "install", "--immutable"]
        case "yarn":
            production = "true" if env.get("YARN_PRODUCTION") == "true" else "false"
            options = ["--frozen-lockfile", "--ignore-engines", "--prefer-offline", "--non-interactive"]
            return ["yarn", "install", f"--production={production}", *options]
    clean = project.lock and version >= (5, 7, 0) and not checked_in and env.get("USE_NPM_INSTALL") != "true"
    verb = "ci" if clean else "install"
    without = env.get("NPM_CONFIG_PRODUCTION") == "true"
    if version >= (7, 0, 0):
        return ["npm", verb, "--omit=dev" if without else "--include=dev"]
    return ["npm", verb, f"--production={str(without).lower()}"]


class LockOfYarn1:
    """yarn.lock of Yarn 1 names a registry in every line; while it installs, that is the one of the build."""

    def __init__(self, project: Project, env: Mapping[str, str]) -> None:
        self.registry = env.get("NPM_CONFIG_REGISTRY", "").rstrip("/")
        self.file = project.directory / project.lock
        self.text: str | None = None
        self.applies = project.manager == "yarn" and not project.berry and bool(self.registry)

    def __enter__(self) -> None:
        if self.applies:
            self.text = self.file.read_text()
            self.file.write_text(re.sub(rf"(?<=resolved \")(?:{'|'.join(_YARN_REGISTRIES)})", self.registry, self.text))

    def __exit__(self, *_: object) -> None:
        if self.text is not None:
            self.file.write_text(self.text)


def script(project: Project, name: str, env: Mapping[str, str]) -> None:
    """Run a script of package.json. Raises BuildFailed."""
    flags = env.get("NODE_BUILD_FLAGS", "") if name == "build" else ""
    command = [project.manager, "run", name]
    if flags:
        command += [*([] if project.manager == "yarn" else ["--"]), *flags.split()]
    topic(f"Running {name}: {' '.join(command)}")
    if not project.script(name):
        return  # Yarn takes an empty script for an error
    if run(command, project.directory, env):
        raise BuildFailed(f"The script {name!r} of package.json failed; its reason is above.")


def keeps_development(project: Project, env: Mapping[str, str]) -> str:
    """Why development dependencies stay (or were never there); empty where they are to be removed."""
    if env.get("NODE_ENV") != "production":
        return f"NODE_ENV is {env.get('NODE_ENV')!r}, not 'production'"
    variable = {"npm": "NPM_CONFIG_PRODUCTION", "yarn": "YARN_PRODUCTION", "pnpm": ""}[project.manager]
    if variable and env.get(variable):
        return f"{variable} is {env[variable]!r}"
    skip = {"pnpm": "PNPM_SKIP_PRUNING", "yarn": "YARN2_SKIP_PRUNING" if project.berry else ""}.get(project.manager, "")
    return f"{skip} is 'true'" if skip and env.get(skip) == "true" else ""


def prune(project: Project, version: Version, work: Path, env: Mapping[str, str]) -> None:
    """Remove development dependencies, which only the build needed. Raises BuildFailed."""
    if reason := keeps_development(project, env):
        detail(f"devDependencies are not pruned, because {reason}")
        return
    packages = own_packages(project.directory) if project.workspaces else [project.directory / "package.json"]
    if not any(manifest(path.parent).get("devDependencies") for path in packages):
        return
    topic("Pruning devDependencies")
    command = prune_command(project, version, packages)
    if not command:
        return
    if project.manager == "pnpm" and project.workspaces:
        for path in packages:
            shutil.rmtree(path.parent / "node_modules", ignore_errors=True)
    scripts = {"YARN_ENABLE_SCRIPTS": "false"} if project.berry else {}
    with LockOfYarn1(project, env):
        status = run(command, project.directory, {**env, **scripts})
    if status:
        raise BuildFailed(f"{' '.join(command[:2])} failed; its reason is above.")
    if project.berry and not project.plug_n_play and not project.zero_install:
        shutil.rmtree(project.directory / ".yarn/cache", ignore_errors=True)


def prune_command(project: Project, version: Version, packages: list[Path]) -> list[str]:
    """Empty where it cannot be done safely; the reason is said."""
    if project.manager == "npm":
        return ["npm", "prune", "--omit=dev" if version >= (7, 0, 0) else "--production", "--ignore-scripts"]
    if project.berry:
        plugins = project.directory / ".yarnrc.yml"
        if version < (4, 0, 0) and "plugin-workspace-tools" not in (plugins.read_text() if plugins.is_file() else ""):
            detail("Not done: before Yarn 4 it takes the plugin workspace-tools (yarn plugin import workspace-tools)")
            return []
        return ["yarn", "workspaces", "focus", "--all", "--production"]
    if project.manager == "yarn":
        options = ["--frozen-lockfile", "--ignore-engines", "--ignore-scripts", "--prefer-offline", "--non-interactive"]
        return ["yarn", "install", "--production=true", *options]
    scripts = any(name in (manifest(path.parent).get("scripts") or {}) for path in packages for name in LIFECYCLE)
    if scripts and (project.workspaces or version < (8, 15, 6)):
        warning(
            "Pruning skipped: pnpm would run the scripts of package.json (preinstall, postinstall, prepare …) again,\n"
            "without the devDependencies that they may need."
        )
        return []
    if project.workspaces:
        return ["pnpm", "install", "--prod", "--frozen-lockfile"]
    return ["pnpm", "prune", "--prod", *(["--ignore-scripts"] if version >= (8, 15, 6) else [])]


def needs_downloads(project: Project, version: Version, env: Mapping[str, str]) -> bool:
    """Whether removing development dependencies installs anew, so that it wants what was downloaded."""
    reinstalls = project.manager == "yarn" or (project.manager == "pnpm" and project.workspaces)
    return reinstalls and not keeps_development(project, env)


def list_installed(project: Project, env: Mapping[str, str]) -> None:
    """What is installed at the top, for NODE_VERBOSE; says nothing if the manager cannot tell."""
    listing = {"npm": ["npm", "ls", "--depth=0"], "pnpm": ["pnpm", "list", "--depth=0"]}
    yarn = ["yarn", "info", "--name-only"] if project.berry else ["yarn", "list", "--depth=0"]
    run(listing.get(project.manager, yarn), project.directory, env)
