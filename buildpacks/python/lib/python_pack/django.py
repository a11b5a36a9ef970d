"""Django: collect static files, so that the app can serve them from the slug."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pack.steps import BuildFailed, run, topic, warning


def find_manage(build_dir: Path) -> Path | None:
    """The manage.py nearest to the top, at most two directories down (Heroku's rule)."""
    found = [build_dir / "manage.py", *sorted(build_dir.glob("*/manage.py")), *sorted(build_dir.glob("*/*/manage.py"))]
    return next((path for path in found if path.is_file()), None)


def collect_static(build_dir: Path, home: Path, env: Mapping[str, str]) -> None:
    """Run collectstatic where Django and its app for static files are installed. Raises BuildFailed."""
    manage = find_manage(build_dir)
    if manage is None or not any(home.glob("lib/python*/site-packages/django/__init__.py")):
        return
    if env.get("DISABLE_COLLECTSTATIC", "0") != "0":
        topic("Skipping Django collectstatic, since the env var DISABLE_COLLECTSTATIC is set")
        return
    shown = manage.relative_to(build_dir)
    topic(f"$ python {shown} collectstatic --noinput")
    printed: list[bytes] = []
    if run([home / "bin/python", manage, "collectstatic", "--noinput"], build_dir, env, printed):
        if any(line.startswith(b"Unknown command: 'collectstatic'") for line in printed):
            topic("Skipping Django collectstatic, since django.contrib.staticfiles is not in INSTALLED_APPS")
            return
        warning("Error while running collectstatic; its reason is above.")
        warning("Fix it, or skip this step: pogo config:set DISABLE_COLLECTSTATIC=1")
        raise BuildFailed(f"python {shown} collectstatic failed.")


def hint(build_dir: Path) -> None:
    """A Django app without a Procfile has no process: say how to give it one."""
    manage = find_manage(build_dir)
    if manage is None or (build_dir / "Procfile").exists():
        return
    site = next(iter(sorted(manage.parent.glob("*/wsgi.py"))), None)
    if site:
        warning(f"There is no Procfile, so nothing will run. For this app: web: gunicorn {site.parent.name}.wsgi")
