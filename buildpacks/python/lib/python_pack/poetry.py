"""poetry.lock by Poetry."""

from __future__ import annotations

import hashlib
import tomllib
import urllib.request
from collections.abc import Mapping

from pack.steps import BuildFailed, run, topic

from python_pack import environment
from python_pack.environment import Layout

POETRY = ("poetry>=2.1,<3", "poetry-plugin-pypi-mirror>=0.6,<1")
"""The plugin lets Poetry, which of PyPI uses more than the index, work with a plain one."""
_PYPI = "https://pypi.org"
KNOWN_RELEASE = "2.0.0"


def install(layout: Layout, env: Mapping[str, str]) -> None:
    """`poetry sync --only main`, on top of the last build's environment, which it brings up to date."""
    known = environment.notes(layout)
    known = known if known.get("manager") == "poetry" else {}
    digest, fixed = _read(layout)
    restored = bool(known) and environment.restore(layout)
    if restored and fixed and known["digest"] == digest:
        topic("Using the installed packages of the last build (poetry.lock has not changed)")
        return
    command = environment.tool(layout, "poetry", POETRY, env)
    if not restored:
        environment.make(layout, env)
    settings = {
        "VIRTUAL_ENV": str(layout.home),
        "POETRY_VIRTUALENVS_CREATE": "false",
        "POETRY_VIRTUALENVS_USE_POETRY_PYTHON": "false",
        "POETRY_CACHE_DIR": "/tmp/poetry-cache",  # noqa: S108
        "POETRY_KEYRING_ENABLED": "false",
        "PATH": f"{layout.home}/bin:{env['PATH']}",
        **_index(env),
    }
    topic("Installing dependencies with Poetry: poetry sync --only main")
    options = ["sync", "--only", "main", "--compile", "--no-ansi", "--no-interaction"]
    if run([*command, *options], layout.build_dir, {**env, **settings}, hidden=b"Skipping virtualenv creation"):
        raise BuildFailed("Poetry could not install the dependencies; its reason is above.")
    environment.remove_tool(layout, "poetry")
    environment.keep(layout, {"manager": "poetry", "digest": digest})


def _index(env: Mapping[str, str]) -> dict[str, str]:
    """Which index to use instead of PyPI: the one that pip is told, or PyPI's plain one if there is no more of it."""
    if "POETRY_PYPI_MIRROR_URL" in env:
        return {}
    if env.get("PIP_INDEX_URL"):
        return {"POETRY_PYPI_MIRROR_URL": env["PIP_INDEX_URL"]}
    request = urllib.request.Request(f"{_PYPI}/pypi/poetry/{KNOWN_RELEASE}/json", method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            return {}
    except OSError:
        return {"POETRY_PYPI_MIRROR_URL": f"{_PYPI}/simple/"}


def _read(layout: Layout) -> tuple[str, bool]:
    """(digest of all that decides, whether that is all: no directory or branch that may have other content)."""
    texts = []
    for name in ("poetry.lock", "pyproject.toml", "poetry.toml"):
        path = layout.build_dir / name
        texts.append(path.read_text(errors="replace") if path.is_file() else "")
    try:
        packages = tomllib.loads(texts[0]).get("package", [])
    except tomllib.TOMLDecodeError as error:
        raise BuildFailed(f"poetry.lock is not valid: {error}") from error
    local = any((package.get("source") or {}).get("type") in ("directory", "file") for package in packages)
    fixed = not local and not environment.builds_itself(layout.build_dir)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest(), fixed
