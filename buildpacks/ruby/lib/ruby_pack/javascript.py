"""Node.js for apps whose gems or assets need it, where no pack before this one has brought it. Heroku's does so too."""

from __future__ import annotations

import shutil
from pathlib import Path

from node_pack import project, runtime
from node_pack.project import Project
from pack.steps import topic, warning

from ruby_pack.app import App

PROGRAMS = (".heroku/node/bin", ".heroku/yarn/bin", ".heroku/pnpm/bin")
"""Relative to the app; those that exist."""

_GEMS = ("execjs", "webpacker", "shakapacker")


def provide(app: App) -> None:
    """Put Node.js, and the package manager of package.json, into the slug and on the path. Raises BuildFailed."""
    declared = (app.build_dir / "package.json").is_file()
    if not (declared or any(map(app.installed, _GEMS))) or shutil.which("node", path=app.env["PATH"]):
        return
    topic("Installing Node.js")
    warning("To choose how JavaScript is built, put its pack first: pogo buildpacks:add --index 1 heroku/nodejs")
    wanted = project.read(app.build_dir, app.env) if declared else Project(app.build_dir, {}, "npm")
    cache = app.cache / "nodejs"
    versions = runtime.choose(wanted, cache, app.env)
    runtime.place(cache, wanted, versions, app.build_dir / ".heroku")
    app.env["PATH"] = ":".join([*map(str, directories(app.build_dir)), app.env["PATH"]])


def directories(build_dir: Path) -> list[Path]:
    """Those of PROGRAMS that this pack has filled."""
    return [build_dir / name for name in PROGRAMS if (build_dir / name).is_dir()]
