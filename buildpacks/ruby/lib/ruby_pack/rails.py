"""Assets of Rails, and of any app whose Rakefile has a task assets:precompile."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from pack import archive
from pack.steps import BuildFailed, detail, run, topic, warning

from ruby_pack.app import App

RAKEFILES = ("Rakefile", "rakefile", "Rakefile.rb", "rakefile.rb")
CACHE_LIMIT = 50 << 20
"""Bytes of tmp/cache/assets that are kept for the next build; Heroku's limit."""

_COMPILED = (".sprockets-manifest-*.json", "manifest-*.json", "manifest.yml")
_NO_RAKEFILE = 70
_ADAPTERS = {"pg": "postgres", "mysql2": "mysql2", "trilogy": "trilogy", "mysql": "mysql"}


def run_tasks(app: App) -> set[str]:
    """Precompile assets where there is such a task; names of the known tasks of the app. Raises BuildFailed."""
    rails = bool(app.lock.version("railties"))
    if not app.lock.has("rake") or not any((app.build_dir / name).is_file() for name in RAKEFILES):
        return set()
    assets = app.build_dir / "public/assets"
    compiled = any(found for pattern in _COMPILED for found in assets.glob(pattern))
    if compiled:
        detail("public/assets has a manifest: the assets were compiled before the push.")
    else:
        topic("Preparing app for Rails asset pipeline" if rails else "Looking for a task assets:precompile")
        _load(app, assets)
    env = {**app.env, "RAILS_GROUPS": "assets", "POGO_RUBY_ASSETS": "no" if compiled else "yes"}
    if "DATABASE_URL" not in env and (url := database_url(app)):
        env["DATABASE_URL"] = url
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "tasks")
        status = run([app.program, Path(__file__).with_name("tasks.rb"), report], app.build_dir, env)
        tasks = set(report.read_text().split()) if report.is_file() else set()
    if status == _NO_RAKEFILE:
        warning("The Rakefile cannot be loaded; the reason is above. Try: RAILS_ENV=production bundle exec rake -P")
        if rails:
            raise BuildFailed("The tasks of the app are not known.")
    elif status:
        raise BuildFailed(
            "Precompiling assets failed; the reason is above.\n"
            "Try it on your machine: RAILS_ENV=production SECRET_KEY_BASE=x bundle exec rake assets:precompile\n"
            "Config vars of the app are set in the build, its database and other services may not be reachable."
        )
    if "assets:precompile" in tasks and not compiled:
        detail(f"Asset precompilation completed ({time.monotonic() - started:.2f}s)")
        _keep(app, assets)
    return tasks


def database_url(app: App) -> str:
    """For Rails to load without a database: an address where none answers."""
    scheme = next((scheme for gem, scheme in _ADAPTERS.items() if app.lock.has(gem)), "")
    return f"{scheme}://user:pass@127.0.0.1/dbname" if scheme else ""


def _load(app: App, assets: Path) -> None:
    """What the last build compiled; files of the repository win."""
    with tempfile.TemporaryDirectory(dir=app.build_dir) as temporary:
        if archive.load(app.cache / "assets.tar.zst", Path(temporary, "assets")):
            for path in Path(temporary, "assets").rglob("*"):
                to = assets / path.relative_to(Path(temporary, "assets"))
                if path.is_file() and not to.exists():
                    to.parent.mkdir(parents=True, exist_ok=True)
                    path.rename(to)
    archive.load(app.cache / "assets-cache.tar.zst", app.build_dir / "tmp/cache/assets")


def _keep(app: App, assets: Path) -> None:
    """For the next build; the compiler's own cache does not go into the slug."""
    if assets.is_dir():
        archive.save(assets, app.cache / "assets.tar.zst")
    cache = app.build_dir / "tmp/cache/assets"
    if cache.is_dir():
        trim(cache, CACHE_LIMIT)
        archive.save(cache, app.cache / "assets-cache.tar.zst")
        shutil.rmtree(cache)


def trim(directory: Path, limit: int) -> None:
    """Remove the oldest files until not more than `limit` bytes are left."""
    files = sorted((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime)
    excess = sum(path.stat().st_size for path in files) - limit
    for path in files:
        if excess <= 0:
            return
        excess -= path.stat().st_size
        path.unlink()
