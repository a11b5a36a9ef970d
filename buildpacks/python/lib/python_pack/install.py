"""Dependencies into a virtual environment at /app/.heroku/python.

The environment's paths are absolute, and the app will run in /app, so it is made there: a link
leads from /app/.heroku/python into BUILD_DIR for the time of the build.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pack import archive
from pack.steps import BuildFailed, detail, run, topic

UV = "uv>=0.8,<1"
_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]?(.+)")
_LOCAL = re.compile(r"-e\b|--editable\b|\.{0,2}/|\.$|\.\[|file:|.*@\s*file:")
PIP_CACHE_LIMIT = 500 << 20


@dataclass(frozen=True)
class Layout:
    """home: the environment as the app sees it, `/app/.heroku/python`.

    stored: its copy in the cache. key_file: what that was made from.
    """

    build_dir: Path
    cache_dir: Path
    home: Path

    @property
    def python(self) -> Path:
        return self.home / "bin/python"

    @property
    def stored(self) -> Path:
        return self.cache_dir / "pogo-python/environment.tar.zst"

    @property
    def key_file(self) -> Path:
        return self.cache_dir / "pogo-python/key"


def prepare(build_dir: Path, cache_dir: Path) -> Layout:
    """Make the link that gives the environment its final path during the build."""
    real = build_dir / ".heroku/python"
    real.parent.mkdir(parents=True, exist_ok=True)
    if real.is_symlink() or real.is_file():
        real.unlink()
    elif real.exists():
        shutil.rmtree(real)
    (cache_dir / "pogo-python").mkdir(parents=True, exist_ok=True)
    home = Path("/app/.heroku/python")
    if home != real:
        home.parent.mkdir(parents=True, exist_ok=True)
        if home.is_symlink():
            home.unlink()
        home.symlink_to(real)
    real.mkdir()
    return Layout(build_dir, cache_dir, home)


def install(layout: Layout, version: str, env: Mapping[str, str]) -> None:
    """Install what the app declares. Raises BuildFailed after the installer has printed its reason."""
    build_dir = layout.build_dir
    if (build_dir / "requirements.txt").is_file():
        _by_pip(layout, version, env, ["-r", "requirements.txt"])
    elif (build_dir / "uv.lock").is_file() or _has_project(build_dir):
        _by_uv(layout, version, env)
    elif (build_dir / "setup.py").is_file():
        _by_pip(layout, version, env, ["."])
    elif (build_dir / "Pipfile").is_file() or (build_dir / "poetry.lock").is_file():
        raise BuildFailed(
            "This buildpack reads requirements.txt, uv.lock and pyproject.toml with a [project] table.\n"
            "Write the dependencies into one of them, e.g. by 'pip freeze > requirements.txt', and push again."
        )
    else:
        topic("No dependencies declared (no requirements.txt, no [project] in pyproject.toml)")
        _make_environment(layout, env)


def _has_project(build_dir: Path) -> bool:
    path = build_dir / "pyproject.toml"
    if not path.is_file():
        return False
    try:
        return "project" in tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildFailed(f"pyproject.toml is not valid: {error}") from error


def _make_environment(layout: Layout, env: Mapping[str, str]) -> None:
    """An empty environment with a `pip` command; pip itself is the stack's."""
    real = layout.home.resolve()  # venv does not write through a link
    command = [sys.executable, "-m", "venv", "--without-pip", "--clear", str(real)]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"The virtual environment cannot be made: {done.stdout}{done.stderr}")
    for path in (real / "pyvenv.cfg", *real.glob("bin/[Aa]ctivate*")):
        path.write_text(path.read_text().replace(str(real), str(layout.home)))
    pip = layout.home / "bin/pip"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip --python {layout.home}/bin/python "$@"\n')
    pip.chmod(0o755)


def requirements_key(build_dir: Path, version: str) -> str | None:
    """Hash of everything that a requirements.txt installs from; None where it names files of the app itself."""
    digest = hashlib.sha256(f"2 {version} {os.environ.get('STACK', '')}".encode())
    waiting, seen = [build_dir / "requirements.txt"], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.is_file():
            return None
        text = path.read_text(errors="replace")
        digest.update(f"{path.relative_to(build_dir)}\0{text}\0".encode())
        for line in map(str.strip, text.splitlines()):
            if included := _INCLUDE.fullmatch(line.partition(" #")[0].strip()):
                if "://" in included[1] or not (path.parent / included[1]).resolve().is_relative_to(build_dir):
                    return None
                waiting.append((path.parent / included[1]).resolve())
            elif _LOCAL.match(line):
                return None
    return digest.hexdigest()


def _by_pip(layout: Layout, version: str, env: Mapping[str, str], what: list[str]) -> None:
    key = requirements_key(layout.build_dir, version) if what[0] == "-r" else None
    if key and _restore(layout, key):
        topic("Using the installed requirements of the last build (requirements.txt has not changed)")
        return
    _make_environment(layout, env)
    pip_cache = layout.cache_dir / "pogo-python/pip"
    archive.load(pip_cache.with_suffix(".tar.zst"), pip_cache)
    pip = [sys.executable, "-m", "pip", "--python", str(layout.python)]
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off", f"--cache-dir={pip_cache}"]
    topic(f"Installing dependencies with pip: pip install {' '.join(what)}")
    if run([*pip, "install", *options, *what], layout.build_dir, env):
        raise BuildFailed("pip could not install the dependencies; its reason is above.")
    if pip_cache.is_dir():
        if _size(pip_cache) < PIP_CACHE_LIMIT:
            archive.save(pip_cache, pip_cache.with_suffix(".tar.zst"))
        shutil.rmtree(pip_cache)
    if key:
        _keep(layout, key)


def _by_uv(layout: Layout, version: str, env: Mapping[str, str]) -> None:
    """`uv sync`, on top of the last build's environment: uv itself removes what is no longer wanted."""
    tool = layout.cache_dir / "pogo-python/uv"
    if not (tool / "bin/uv").is_file():
        topic("Installing uv")
        shutil.rmtree(tool, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        if run([*pip, "--no-deps", "--no-cache-dir", f"--target={tool}", UV], layout.build_dir, env):
            raise BuildFailed("uv could not be installed; the reason is above.")
    key = f"uv {version} {os.environ.get('STACK', '')}"
    if not _restore(layout, key):
        _make_environment(layout, env)
    locked = ["--locked"] if (layout.build_dir / "uv.lock").is_file() else []
    settings = {
        "UV_PROJECT_ENVIRONMENT": str(layout.home),
        "UV_PYTHON": str(layout.python),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_CACHE_DIR": str(layout.cache_dir / "pogo-python/uv-cache"),
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_SYSTEM_CERTS": "1",
        **({"UV_DEFAULT_INDEX": env["PIP_INDEX_URL"]} if env.get("PIP_INDEX_URL") else {}),
        **({"UV_INDEX": env["PIP_EXTRA_INDEX_URL"]} if env.get("PIP_EXTRA_INDEX_URL") else {}),
    }
    topic(f"Installing dependencies with uv: uv sync {' '.join([*locked, '--no-dev'])}")
    command = [tool / "bin/uv", "sync", *locked, "--no-dev", "--no-editable"]
    if run(command, layout.build_dir, {**settings, **env}):
        raise BuildFailed("uv could not install the dependencies; its reason is above.")
    run([tool / "bin/uv", "cache", "prune", "--ci", "--quiet"], layout.build_dir, {**settings, **env})
    _keep(layout, key)


def _restore(layout: Layout, key: str) -> bool:
    """Bring back the environment of the last build if it was made from the same things."""
    same = layout.key_file.is_file() and layout.key_file.read_text() == key
    return same and archive.load(layout.stored, layout.home)


def _keep(layout: Layout, key: str) -> None:
    layout.key_file.unlink(missing_ok=True)
    archive.save(layout.home, layout.stored)
    layout.key_file.write_text(key)


def _size(directory: Path) -> int:
    return sum(Path(where, name).lstat().st_size for where, _, names in os.walk(directory) for name in names)


def list_installed(layout: Layout) -> None:
    """One line with what is there, so that the log of a build answers "which version?"."""
    found = sorted(
        path.name.removesuffix(".dist-info") for path in layout.home.glob("lib/python*/site-packages/*-info")
    )
    detail(f"Installed: {' '.join(name.removesuffix('.egg-info') for name in found) or 'nothing'}")
