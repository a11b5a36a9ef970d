"""The steps of a build, in order."""

from __future__ import annotations

import collections
import shutil
import subprocess
import tempfile
from pathlib import Path

from static_pack import nginx, serve, settings
from static_pack.settings import InvalidSettings, Settings

_HERE = Path(__file__).parent
_BOOT = '#!/bin/sh\nexec bash "$HOME/.heroku/static/web"\n'


def run(build_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    config_vars = {path.name: path.read_text() for path in sorted(env_dir.iterdir())} if env_dir.is_dir() else {}
    try:
        found = settings.load(build_dir)
        print(f"-----> Serving {found.root if found.root != '.' else 'the top directory'} by nginx", flush=True)
        _remarks(found, build_dir, config_vars)
        reason = _refused(found, config_vars)
    except InvalidSettings as error:
        print("\n !     " + str(error).replace("\n", "\n !     "), flush=True)
        return 1
    if reason:
        print(f"\n !     nginx does not accept what static.json asks for:\n{reason}", flush=True)
        return 1
    home = build_dir / ".heroku/static"
    shutil.rmtree(home, ignore_errors=True)
    (home / "lib").mkdir(parents=True)
    shutil.copytree(_HERE, home / "lib/static_pack", ignore=shutil.ignore_patterns("__pycache__", "web.sh", "main.py"))
    shutil.copy(_HERE / "web.sh", home / "web")
    boot = build_dir / "bin/boot"  # where the classic static buildpack has it, and Procfiles name it
    if not boot.exists():
        boot.parent.mkdir(exist_ok=True)
        boot.write_text(_BOOT)
        boot.chmod(0o755)
    return 0


def _remarks(found: Settings, build_dir: Path, config_vars: dict[str, str]) -> None:
    """What will not stop the build, but may not be what was meant."""
    for name in found.unknown:
        print(f" !     static.json: {name}: not known to this buildpack, so it does nothing.", flush=True)
    for name in sorted(found.variables() - set(config_vars)):
        print(f" !     static.json needs the config var {name}: pogo config:set {name}=…", flush=True)
    has_users = (build_dir / found.basic_auth_htpasswd_path).is_file() or "BASIC_AUTH_PASSWORD" in config_vars
    if found.basic_auth and not has_users:
        print(" !     static.json: basic_auth: set BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD.", flush=True)


def _refused(found: Settings, config_vars: dict[str, str]) -> str:
    """What nginx itself says against the configuration; empty if nothing, or if it is not installed here."""
    env = collections.defaultdict(lambda: "unset.invalid", config_vars)
    for name in found.variables() - set(config_vars):
        env[name] = "http://unset.invalid" if _begins_address(found, name) else "unset"
    text = nginx.config(found, nginx.Start(env=env, nameservers=("127.0.0.1",)))
    program = serve.program_of_nginx()
    if program is None:
        return ""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        test = [program, "-t", "-q", "-e", "stderr", "-c", file.name]
        done = subprocess.run(test, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def _begins_address(found: Settings, name: str) -> bool:
    return any(origin.startswith(f"${{{name}}}") for origin in found.proxies.values())
