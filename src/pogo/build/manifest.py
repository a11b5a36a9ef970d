"""app.json at an app's first build: what of it takes effect is said, and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pogo.build.output import detail, topic, warning
from pogo.build.request import Request
from pogo.rules import app_json


def announce(build_dir: Path, request: Request) -> Sequence[str]:
    """Print what app.json asks for. The buildpacks it names, to be used where the app has none set."""
    file = build_dir / "app.json"
    if not file.is_file() or file.is_symlink():
        return ()
    topic("Found app.json")
    try:
        with file.open("rb") as opened:
            wanted = app_json.parse(opened.read(app_json.LARGEST + 1))
    except app_json.InvalidManifest as invalid:
        warning("It is passed over, since it is not valid:")
        for error in invalid.errors[:20]:
            detail(error)
        return ()
    if wanted.buildpacks:
        used = "which the app has from now on" if not request.buildpacks else "not used: others are set for the app"
        detail(f"Buildpacks: {', '.join(wanted.buildpacks)} ({used})")
    if wanted.addons:
        detail(f"Add-ons that it asks for, and a push does not create: {', '.join(wanted.addons)}")
    if wanted.formation:
        detail(f"Formation, which a push does not change: {_formation(wanted)}")
    if wanted.postdeploy:
        detail(f"Script postdeploy, which a push does not run: {wanted.postdeploy}")
    if unset := wanted.unset(request.config):
        warning(f"Config vars that app.json requires are not set: {', '.join(unset)}")
        detail(f"Set them by: pogo config:set {' '.join(f'{name}=…' for name in unset)}")
    return wanted.buildpacks


def _formation(wanted: app_json.Manifest) -> str:
    return ", ".join(f"{type}={one['quantity']}" for type, one in wanted.formation.items())
