"""Pipfile.lock by Pipenv."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pack.steps import BuildFailed, run, topic

from python_pack import environment
from python_pack.environment import Layout

PIPENV = ("pipenv>=2025.0",)


def install(layout: Layout, env: Mapping[str, str]) -> None:
    """`pipenv install --deploy`, which refuses a lock file that does not fit its Pipfile. Raises BuildFailed."""
    lock = (layout.build_dir / "Pipfile.lock").read_text(errors="replace")
    pipfile = layout.build_dir / "Pipfile"
    digest = hashlib.sha256(f"{lock}\0{pipfile.read_text() if pipfile.is_file() else ''}".encode()).hexdigest()
    known = environment.notes(layout)
    same = known.get("manager") == "pipenv" and known["digest"] == digest
    if same and not _local(lock) and environment.restore(layout):
        topic("Using the installed packages of the last build (Pipfile.lock has not changed)")
        return
    command = environment.tool(layout, "pipenv", PIPENV, env)
    environment.make(layout, env)  # pipenv does not uninstall what has left the lock file
    settings = {
        "VIRTUAL_ENV": str(layout.home),
        "PIPENV_VERBOSITY": "-1",
        "PIPENV_NOSPIN": "1",
        "PIPENV_YES": "1",
        "PIPENV_CACHE_DIR": "/tmp/pipenv-cache",  # noqa: S108
        "PIP_SRC": f"{layout.home}/src",
        "PATH": f"{layout.home}/bin:{env['PATH']}",
    }
    topic("Installing dependencies with Pipenv: pipenv install --deploy")
    if run([*command, "install", "--deploy"], layout.build_dir, {**env, **settings}):
        raise BuildFailed("Pipenv could not install the dependencies; its reason is above.")
    environment.remove_tool(layout, "pipenv")
    environment.keep(layout, {"manager": "pipenv", "digest": digest})


def _local(lock: str) -> bool:
    """Whether a lock file names files of the app or sources that may change under the same name."""
    try:
        packages = json.loads(lock).get("default") or {}
    except ValueError as error:
        raise BuildFailed(f"Pipfile.lock is not valid: {error}") from error
    return any("path" in entry or "file" in entry for entry in packages.values())
