"""The steps of a build, in order."""

from __future__ import annotations

import os
from pathlib import Path

from pack.steps import config_vars, exit_status, hook

from ruby_pack import gems, javascript, lockfile, processes, rails, runtime, version
from ruby_pack.app import SHARED, App, machine

PACK = Path(__file__).resolve().parents[2]
_HIDDEN = ("GEM_HOME", "GEM_PATH", "RUBYLIB")


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    return exit_status(lambda: _compile(build_dir.resolve(), cache_dir.resolve() / "pogo-ruby", env_dir))


def _compile(build_dir: Path, cache: Path, env_dir: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    given = config_vars(env_dir, *_HIDDEN)
    env = {**os.environ, **given}
    hook("pre_compile", build_dir, env)
    lock = lockfile.load(build_dir)
    lockfile.check_platform(lock, machine())
    ruby = runtime.choose(version.wanted(build_dir, lock), build_dir, cache, env)
    used = {name: lock.version(name) for name in ("rack", "railties")}
    defaults = processes.defaults(used, processes.secret(cache) if used["railties"] else "")
    app = App(build_dir, cache, ruby, lock, {**defaults, **env})
    _prepare(app)
    gems.install(app)
    if (app.build_dir / SHARED).is_dir():
        app.env["LD_LIBRARY_PATH"] = f"{app.build_dir / SHARED}:{app.env.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    for script in (build_dir / "bin").glob("*"):
        if script.is_file():
            script.chmod(script.stat().st_mode | 0o111)
    javascript.provide(app)
    tasks = rails.run_tasks(app)
    hook("post_compile", build_dir, app.env)
    (build_dir / "tmp/pids").mkdir(parents=True, exist_ok=True)
    types = processes.types(app, tasks)
    processes.warnings(app, types)
    processes.describe(app, defaults, PACK)
    kept = (
        {} if "SECRET_KEY_BASE" in given or not used["railties"] else {"SECRET_KEY_BASE": defaults["SECRET_KEY_BASE"]}
    )
    addons = ["heroku-postgresql"] if lock.has("pg") and "DATABASE_URL" not in given else []
    processes.release(PACK, types, kept, addons)


def _prepare(app: App) -> None:
    """The environment in which bundler, rake and the app run during the build."""
    if app.ruby.own:
        runtime.commands(app.bundle.parent)
    paths = [app.build_dir / "bin", app.build_dir / "vendor/bundle/bin", app.gem_home / "bin", app.bundle.parent]
    without = app.env.get("BUNDLE_WITHOUT", processes.WITHOUT).replace(" ", ":")
    app.env.update(
        PATH=":".join([*map(str, paths), app.env["PATH"]]),
        GEM_PATH=str(app.gem_home),
        BUNDLE_PATH="vendor/bundle",
        BUNDLE_BIN="vendor/bundle/bin",
        BUNDLE_WITHOUT=without,
        BUNDLE_DEPLOYMENT="1",
        BUNDLE_DISABLE_VERSION_CHECK="true",
        BUNDLE_JOBS=app.env.get("BUNDLE_JOBS", "4"),
        NOKOGIRI_USE_SYSTEM_LIBRARIES="true",
        DISABLE_SPRING="1",
        NODE_OPTIONS=app.env.get("NODE_OPTIONS", "--max_old_space_size=2560"),
        MAKEFLAGS=app.env.get("MAKEFLAGS", f"-j{os.cpu_count() or 1}"),
    )
