"""The steps of a build, in order."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pack.steps import BuildFailed, config_vars, topic, warning
from pack.steps import run as run_command

from node_pack import dependencies, runtime

_PROFILE = Path(__file__).with_name("profile.sh")


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    try:
        _compile(build_dir.resolve(), cache_dir / "pogo-nodejs", env_dir)
    except BuildFailed as failure:
        print(flush=True)
        warning(str(failure))
        return 1
    return 0


def _compile(build_dir: Path, cache: Path, env_dir: Path) -> None:
    manifest = _manifest(build_dir)
    env = {**os.environ, **config_vars(env_dir)}
    keep_dev = env.pop("NPM_CONFIG_PRODUCTION", "") == "false" or env.get("NODE_ENV", "production") != "production"
    versions = runtime.choose(manifest.get("engines") or {}, cache / "runtime", env)
    home = build_dir / ".heroku/node"
    if home.exists():
        shutil.rmtree(home)
    runtime.place(cache / "runtime", *versions, home)
    work = Path(tempfile.mkdtemp(prefix="nodejs-"))
    env.update(
        PATH=f"{home}/bin:{build_dir}/node_modules/.bin:{env['PATH']}",
        NODE_ENV=env.get("NODE_ENV", "production"),
        NPM_CONFIG_CACHE=str(work / "npm-cache"),
        NPM_CONFIG_UPDATE_NOTIFIER="false",
        NPM_CONFIG_FUND="false",
        NPM_CONFIG_AUDIT="false",
        npm_package_config_node_gyp_nodedir=str(work / "headers"),
    )
    modules_key = dependencies.key(build_dir, manifest, versions, env.get("STACK", ""))
    _script(manifest, ("heroku-prebuild",), build_dir, env)
    if not dependencies.restore(build_dir, cache, modules_key):
        runtime.headers(cache / "runtime", versions[0], work / "headers")
        dependencies.install(build_dir, cache, modules_key, env)
    _script(manifest, ("heroku-postbuild", "build"), build_dir, env)
    if keep_dev:
        topic("Keeping devDependencies, as NPM_CONFIG_PRODUCTION or NODE_ENV says")
    else:
        dependencies.prune(build_dir, manifest, env)
    _script(manifest, ("heroku-cleanup",), build_dir, env)
    shutil.rmtree(work)
    profile = build_dir / ".profile.d/nodejs.sh"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(_PROFILE.read_text())
    export = Path(__file__).parents[2] / "export"
    export.write_text(f'export PATH="{home}/bin:{build_dir}/node_modules/.bin:$PATH"\n')
    if "start" not in (manifest.get("scripts") or {}) and not any(
        (build_dir / name).is_file() for name in ("Procfile", "server.js")
    ):
        warning("Nothing will run: add a Procfile, or a start script to package.json.")


def _manifest(build_dir: Path) -> dict[str, Any]:
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


def _script(manifest: Mapping[str, Any], names: tuple[str, ...], build_dir: Path, env: Mapping[str, str]) -> None:
    """Run the first of the named scripts that package.json has. Raises BuildFailed."""
    name = next((name for name in names if name in (manifest.get("scripts") or {})), None)
    if name:
        topic(f"Running {name}: npm run {name}")
        if run_command(["npm", "run", name, "--if-present"], build_dir, env):
            raise BuildFailed(f"The script {name!r} of package.json failed; its reason is above.")
