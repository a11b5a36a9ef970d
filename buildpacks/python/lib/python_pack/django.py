"""Django: collect static files, so that the app can serve them from the slug."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pack.steps import BuildFailed, detail, run, topic, warning


def find_manage(build_dir: Path) -> Path | None:
    """The manage.py nearest to the top, at most two directories down (Heroku's rule)."""
    found = [build_dir / "manage.py", *sorted(build_dir.glob("*/manage.py")), *sorted(build_dir.glob("*/*/manage.py"))]
    return next((path for path in found if path.is_file()), None)


def collect_static(build_dir: Path, site_packages: Path, python: Path, env: Mapping[str, str]) -> None:
    """Run collectstatic where Django and its app for static files are installed (Heroku's rule). Raises BuildFailed."""
    if not (site_packages / "django/__init__.py").is_file():
        return
    if (build_dir / ".heroku/collectstatic_disabled").is_file():
        topic("Skipping Django collectstatic, since the file .heroku/collectstatic_disabled exists")
        warning("That file is deprecated: remove it, and set the config var DISABLE_COLLECTSTATIC=1.")
        return
    if env.get("DISABLE_COLLECTSTATIC", "0") != "0":
        topic("Skipping Django collectstatic, since the env var DISABLE_COLLECTSTATIC is set")
        return
    manage = find_manage(build_dir)
    if manage is None:
        topic("Skipping Django collectstatic, since there is no manage.py")
        return
    shown = manage.relative_to(build_dir)
    topic(f"$ python {shown} collectstatic --noinput")
    printed: list[bytes] = []
    command: list[str | Path] = [python, manage, "collectstatic", "--noinput", "--traceback"]
    if run(command, build_dir, {"PYTHONPATH": ".", **env}, printed):
        if any(b"Unknown command: 'collectstatic'" in line for line in printed):
            topic("Skipping Django collectstatic, since django.contrib.staticfiles is not in INSTALLED_APPS")
            return
        warning("Error while running collectstatic; its reason is above.")
        warning("Fix it, or skip this step: pogo config:set DISABLE_COLLECTSTATIC=1")
        if env.get("DEBUG_COLLECTSTATIC", "0") == "1":
            detail(f"The environment had: {' '.join(sorted(env))}")
        raise BuildFailed(f"python {shown} collectstatic failed.")


def hint(build_dir: Path) -> None:
    """A Django app without a Procfile has no process: say how to give it one."""
    manage = find_manage(build_dir)
    if manage is None or (build_dir / "Procfile").exists():
        return
    site = next(iter(sorted(manage.parent.glob("*/wsgi.py"))), None)
    if site:
        warning(f"There is no Procfile, so nothing will run. For this app: web: gunicorn {site.parent.name}.wsgi")
