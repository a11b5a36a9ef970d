"""The steps of a build, in order."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from pack.steps import config_vars, detail, exit_status, topic, warning

from node_pack import commands, dependencies, project, runtime, semver
from node_pack.project import Project

WORK = Path("/tmp/nodejs-build")  # noqa: S108  the same path in every build: pnpm remembers it
_PROFILE = Path(__file__).with_name("profile.sh")
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_HEAP = 2560
"""MB that Node.js may use for its objects during a build on Heroku."""


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    try:
        return exit_status(lambda: _compile(build_dir.resolve(), cache_dir / "pogo-nodejs", env_dir))
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


def _compile(build_dir: Path, cache: Path, env_dir: Path) -> None:
    config = config_vars(env_dir)
    env = {**os.environ, **config}
    if re.search(r"^\s*registry\s*=", _text(build_dir / ".npmrc"), re.M) and "NPM_CONFIG_REGISTRY" not in config:
        operators = env.pop("NPM_CONFIG_REGISTRY", "")  # that of the app itself comes first
    else:
        operators = env.get("NPM_CONFIG_REGISTRY", "")
    env.setdefault("NODE_ENV", "production")
    app = project.read(build_dir, env)
    lookup = {**env, **({"NPM_CONFIG_REGISTRY": operators} if operators else {})}
    versions = runtime.choose(app, cache / "runtime", lookup)
    home = build_dir / ".heroku"
    runtime.place(cache / "runtime", app, versions, home)
    programs = ":".join(str(home / name / "bin") for name in ("node", "yarn", "pnpm") if (home / name / "bin").is_dir())
    version = semver.parse_version(re.split(r"[-+]", app.vendored or versions.manager or versions.npm)[0]) or (0, 0, 0)
    env.update(
        commands.environment(app, version, WORK, env),
        PATH=f"{programs}:{env['PATH']}:{build_dir}/node_modules/.bin",
        npm_package_config_node_gyp_nodedir=str(WORK / "headers"),
    )
    env.setdefault("NODE_OPTIONS", f"--max_old_space_size={_heap()}")
    _packages(app, version, cache, versions, env)
    if app.has_script("heroku-postbuild"):
        commands.script(app, "heroku-postbuild", env)
    elif app.has_script("build"):
        commands.script(app, "build", env)
    if env.get("NODE_MODULES_CACHE") != "false":
        dependencies.keep_directories(app, cache)
    commands.prune(app, version, WORK, env)
    if app.has_script("heroku-cleanup"):
        commands.script(app, "heroku-cleanup", env)
    if env.get("NODE_VERBOSE") == "true":
        commands.list_installed(app, env)
    _describe(app, programs, version)


def _packages(
    app: Project, version: semver.Version, cache: Path, versions: runtime.Versions, env: dict[str, str]
) -> None:
    cached = env.get("NODE_MODULES_CACHE") != "false"
    if not cached:
        detail("Nothing is taken from the cache or kept, as NODE_MODULES_CACHE is 'false'")
    key = dependencies.key(app, (versions.node, versions.npm, versions.manager), env) if cached else None
    if app.has_script("heroku-prebuild"):
        commands.script(app, "heroku-prebuild", env)
    if not dependencies.restore(app, cache, key):
        runtime.headers(cache / "runtime", versions.node, WORK / "headers")
        if cached:
            dependencies.load_downloads(app, cache, WORK)
        commands.install(app, version, env)
        if cached:
            dependencies.keep(app, cache, WORK, key)
    elif commands.needs_downloads(app, version, env):
        dependencies.load_downloads(app, cache, WORK, forget=False)
    if cached:
        dependencies.restore_directories(app, cache)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _heap() -> int:
    """MB for Node.js: as on Heroku, but not more than four fifths of what the build may use."""
    for name in _MEMORY_LIMITS:
        text = _text(Path(name)).strip()
        if text.isdigit():
            return min(_HEAP, max(256, int(text) * 4 // 5 >> 20))
    return _HEAP


def _describe(app: Project, programs: str, version: semver.Version) -> None:
    """What the processes of the app, and the packs that come after this one, have to know."""
    build_dir = app.directory
    profile = build_dir / ".profile.d/nodejs.sh"
    profile.parent.mkdir(exist_ok=True)
    text = _PROFILE.read_text()
    if app.manager == "pnpm" and version >= (11, 0, 0):
        text += 'export pnpm_config_verify_deps_before_run="${pnpm_config_verify_deps_before_run:-warn}"\n'
    profile.write_text(text)
    export = Path(__file__).parents[2] / "export"
    export.write_text(
        f'export PATH="{programs}:$PATH:{build_dir}/node_modules/.bin"\n'
        f'export NODE_HOME="{build_dir}/.heroku/node"\n'
        f'export NODE_OPTIONS="${{NODE_OPTIONS:---max_old_space_size={_heap()}}}"\n'
    )
    if not app.has_script("start") and not any((build_dir / name).is_file() for name in ("Procfile", "server.js")):
        topic("Nothing will run")
        warning("Add a Procfile, or a start script to package.json.")
