"""requirements.txt by pip. Where only some of it changed, the last environment is brought up to date."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pack import archive
from pack.steps import BuildFailed, detail, run, topic

from python_pack import environment, requirements
from python_pack.environment import Layout

CACHE_LIMIT = 500 << 20


def install(layout: Layout, env: Mapping[str, str], what: list[str]) -> None:
    """`pip install <what>`: `-r requirements.txt`, or `.` for an app that has a setup.py alone. Raises BuildFailed."""
    if what != ["-r", "requirements.txt"]:
        environment.make(layout, env)
        _run(layout, env, what)
        return
    asked = requirements.read(layout.build_dir)
    known = environment.notes(layout)
    known = known if known.get("manager") == "pip" else {}
    if known and asked.fixed and known["digest"] == asked.digest and environment.restore(layout):
        topic("Using the installed requirements of the last build (requirements.txt has not changed)")
        return
    comparable = known and asked.adjustable and known["adjustable"] and known["unnamed"] == list(asked.unnamed)
    if comparable and environment.restore(layout):
        topic("Requirements have changed: bringing those of the last build up to date")
        _run(layout, env, [*what, "--upgrade", "--upgrade-strategy=eager"])
        _remove_unneeded(layout, asked, env)
    else:
        environment.make(layout, env)
        _run(layout, env, what)
    environment.keep(
        layout,
        {
            "manager": "pip",
            "digest": asked.digest,
            "adjustable": asked.adjustable,
            "unnamed": list(asked.unnamed),
        },
    )


def _run(layout: Layout, env: Mapping[str, str], what: list[str]) -> None:
    """One run of `pip install`, with its own cache of wheels and of downloads that the index lets it keep."""
    pip_cache = layout.cache / "pip"
    stored = layout.cache / "pip.tar.zst"
    archive.load(stored, pip_cache)
    before = _size(pip_cache)
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off", f"--cache-dir={pip_cache}"]
    options += ["--exists-action=w", f"--src={layout.home}/src"]
    shown = [part for part in what if not part.startswith("--upgrade")]
    topic(f"Installing dependencies with pip: pip install {' '.join(shown)}")
    if run([*layout.pip(), "install", *options, *what], layout.build_dir, env, hidden=b"Requirement already satisfied"):
        raise BuildFailed("pip could not install the dependencies; its reason is above.")
    after = _size(pip_cache)
    if after != before and after < CACHE_LIMIT:
        archive.save(pip_cache, stored)
    shutil.rmtree(pip_cache, ignore_errors=True)


def _remove_unneeded(layout: Layout, asked: requirements.Requirements, env: Mapping[str, str]) -> None:
    """Uninstall what was only needed by requirements that are gone: the result is that of a new environment."""
    needs: dict[str, set[str]] = {}
    roots = set(asked.names)
    for info in layout.site_packages().glob("*.dist-info"):
        name = requirements.normal(info.name.removesuffix(".dist-info").rpartition("-")[0])
        metadata = info / "METADATA"
        text = metadata.read_text(errors="replace") if metadata.is_file() else ""
        needs[name] = requirements.depends_on(text.partition("\n\n")[0])
        if (info / "direct_url.json").is_file() and asked.unnamed:
            roots.add(name)
    gone = requirements.unneeded(roots, needs)
    if gone:
        detail(f"No longer needed: {' '.join(gone)}")
        command = [*layout.pip(), "uninstall", "--yes", "--quiet", "--disable-pip-version-check", *gone]
        if run(command, layout.build_dir, env):
            raise BuildFailed("pip could not uninstall what is no longer required; its reason is above.")


def _size(directory: Path) -> int:
    return sum(Path(where, name).lstat().st_size for where, _, names in os.walk(directory) for name in names)
