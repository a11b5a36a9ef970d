"""uv.lock, or the `[project]` of pyproject.toml, by uv."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pack.steps import BuildFailed, run, topic, warning

from python_pack import environment, runtime
from python_pack.environment import Layout

UV = "uv>=0.8,<1"


def install(layout: Layout, env: Mapping[str, str]) -> None:
    """`uv sync`, on top of the last build's environment: uv itself removes what is no longer wanted."""
    known = environment.notes(layout)
    known = known if known.get("manager") == "uv" else {}
    digest, fixed = read(layout)
    restored = bool(known) and environment.restore(layout)
    if restored and fixed and known["digest"] == digest:
        topic("Using the installed packages of the last build (uv.lock has not changed)")
        return
    tool = layout.cache / "uv"
    if not (tool / "bin/uv").is_file():
        topic("Installing uv")
        shutil.rmtree(tool, ignore_errors=True)
        command = [*runtime.stack_pip(), "install", "--disable-pip-version-check", "--no-input", "--quiet"]
        if run([*command, "--no-deps", "--no-cache-dir", f"--target={tool}", UV], layout.build_dir, env):
            raise BuildFailed("uv could not be installed; the reason is above.")
    if not restored:
        environment.make(layout, env)
    locked = (layout.build_dir / "uv.lock").is_file()
    if not locked:
        warning("There is no uv.lock, so every build chooses the versions anew. Write it by 'uv lock' and commit it.")
    settings = {
        "UV_PROJECT_ENVIRONMENT": str(layout.home),
        "UV_PYTHON": str(layout.program),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_CACHE_DIR": str(layout.cache / "uv-cache"),
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_SYSTEM_CERTS": "1",
        **({"UV_DEFAULT_INDEX": env["PIP_INDEX_URL"]} if env.get("PIP_INDEX_URL") else {}),
        **({"UV_INDEX": env["PIP_EXTRA_INDEX_URL"]} if env.get("PIP_EXTRA_INDEX_URL") else {}),
    }
    options = [*(["--locked"] if locked else []), "--no-default-groups"]
    topic(f"Installing dependencies with uv: uv sync {' '.join(options)}")
    sync: list[str | Path] = [tool / "bin/uv", "sync", *options, "--compile-bytecode"]
    if run(sync, layout.build_dir, {**settings, **env}):
        raise BuildFailed("uv could not install the dependencies; its reason is above.")
    run([tool / "bin/uv", "cache", "prune", "--ci", "--quiet"], layout.build_dir, {**settings, **env})
    environment.keep(layout, {"manager": "uv", "digest": digest})


def read(layout: Layout) -> tuple[str, bool]:
    """(digest of all that decides, whether that is all: a lock file, and no source that may have other content)."""
    texts = []
    for name in ("uv.lock", "pyproject.toml", "uv.toml"):
        path = layout.build_dir / name
        texts.append(path.read_text(errors="replace") if path.is_file() else "")
    try:
        packages = tomllib.loads(texts[0]).get("package", [])
    except tomllib.TOMLDecodeError as error:
        raise BuildFailed(f"uv.lock is not valid: {error}") from error
    sources = [package.get("source") or {} for package in packages]
    local = any(source.get(kind, ".") != "." for source in sources for kind in ("directory", "editable", "virtual"))
    local = local or any("path" in source for source in sources)
    fixed = bool(texts[0]) and not local and not environment.builds_itself(layout.build_dir)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest(), fixed
