"""The environment of the app: /app/.heroku/python, and what of it is kept for the next build.

Its paths are absolute, and the app will run in /app, so it is made there: a link leads from
/app/.heroku/python into BUILD_DIR for the time of the build. Where the stack's Python is used it is a
virtual environment; another Python is unpacked to the same place and the packages go into it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack import archive
from pack.steps import BuildFailed, detail, run, topic

from python_pack import runtime
from python_pack.runtime import Python
from python_pack.version import pyproject

HOME = Path("/app/.heroku/python")
_PIP_MODULE = """\
import os
import sys

os.execv(os.path.join(sys.prefix, "bin", "pip"), ["pip", *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Layout:
    """home: the environment as the app sees it. cache: this pack's directory in the cache. python: what it has."""

    build_dir: Path
    cache: Path
    home: Path
    python: Python

    @property
    def program(self) -> Path:
        return self.home / "bin/python"

    @property
    def stored(self) -> Path:
        return self.cache / "environment.tar.zst"

    @property
    def notes(self) -> Path:
        """What the stored environment was made from, as JSON."""
        return self.cache / "environment.json"

    @property
    def basis(self) -> str:
        """What every environment here depends on, whatever the packages are."""
        own = "" if self.python.archive else " of the stack"
        return f"4 {self.python.version}{own} {os.environ.get('STACK', '')}"

    def site_packages(self) -> Path:
        return self.home / f"lib/python{self.python.line}/site-packages"

    def pip(self) -> list[str | Path]:
        """pip for this environment: the stack's, or the one inside the Python, whose line the stack's may not know."""
        if self.python.archive and (bundled := runtime.bundled_pip(self.home)):
            return [self.program, bundled]
        return [*runtime.stack_pip(), "--python", self.program]


def prepare(build_dir: Path, cache: Path, python: Python) -> Layout:
    """Make the link that gives the environment its final path during the build."""
    real = build_dir / ".heroku/python"
    real.parent.mkdir(parents=True, exist_ok=True)
    if real.is_symlink() or real.is_file():
        real.unlink()
    elif real.exists():
        shutil.rmtree(real)
    if real != HOME:
        HOME.parent.mkdir(parents=True, exist_ok=True)
        if HOME.is_symlink():
            HOME.unlink()
        HOME.symlink_to(real)
    real.mkdir()
    return Layout(build_dir, cache, HOME, python)


def make(layout: Layout, env: Mapping[str, str]) -> None:
    """An environment without packages, but with a `pip` command. Raises BuildFailed."""
    real = layout.home.resolve()  # venv does not write through a link
    if layout.python.archive:
        runtime.install(layout.python, layout.home, layout.cache / f"python-{layout.python.version}.tar.zst")
        bundled = runtime.bundled_pip(layout.home)
        command = f"{layout.program} {bundled}" if bundled else f"{sys.executable} -m pip --python {layout.program}"
    else:
        venv = [sys.executable, "-m", "venv", "--without-pip", "--clear", str(real)]
        done = subprocess.run(venv, env=dict(env), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildFailed(f"The virtual environment cannot be made: {done.stdout}{done.stderr}")
        for path in (real / "pyvenv.cfg", *real.glob("bin/[Aa]ctivate*")):
            path.write_text(path.read_text().replace(str(real), str(layout.home)))
        command = f"{sys.executable} -m pip --python {layout.program}"
    pip = layout.home / "bin/pip"
    pip.unlink(missing_ok=True)
    pip.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    pip.chmod(0o755)
    module = layout.site_packages() / "pip"
    module.mkdir(parents=True, exist_ok=True)
    (module / "__init__.py").write_text(
        f'"""pip itself is elsewhere: this is for `python -m pip`, which is {pip}."""\n'
    )
    (module / "__main__.py").write_text(_PIP_MODULE)


def notes(layout: Layout) -> dict[str, Any]:
    """What is known about the stored environment; empty where there is none that this build can use."""
    try:
        found: dict[str, Any] = json.loads(layout.notes.read_text())
    except (OSError, ValueError):
        return {}
    return found if found.get("basis") == layout.basis else {}


def restore(layout: Layout) -> bool:
    """Bring back the environment of the last build; False, with nothing there, if it cannot be."""
    if not archive.load(layout.stored, layout.home):
        return False
    relocate(layout, "/app", str(layout.build_dir))
    return True


def keep(layout: Layout, made_from: Mapping[str, Any]) -> None:
    """Store the environment for the next build."""
    relocate(layout, str(layout.build_dir), "/app")
    layout.notes.unlink(missing_ok=True)
    archive.save(layout.home, layout.stored)
    layout.notes.write_text(json.dumps({"basis": layout.basis, **made_from}))
    relocate(layout, "/app", str(layout.build_dir))


def relocate(layout: Layout, old: str, new: str) -> None:
    """Packages installed in editable mode say where their source is: in BUILD_DIR now, in /app at run time."""
    if old == new:
        return
    expression = re.compile(rf"{re.escape(old)}(?=$|[/'\"\s])(?!/\.heroku/python)", re.M)
    for form in ("*.pth", "*.egg-link", "__editable___*_finder.py"):
        for path in layout.site_packages().glob(form):
            text = path.read_text(errors="surrogateescape")
            changed = expression.sub(lambda _: new, text.replace(f"{old}/.heroku/python", str(layout.home)))
            if changed != text:
                path.write_text(changed, errors="surrogateescape")


def builds_itself(build_dir: Path) -> bool:
    """Whether installing the app's own package may give something else although pyproject.toml is the same."""
    project = pyproject(build_dir)
    hooks = (project.get("tool") or {}).get("poetry", {}).get("build") or (project.get("tool") or {}).get("hatch")
    dynamic = (project.get("project") or {}).get("dynamic")
    return bool(hooks or dynamic or (build_dir / "setup.py").is_file())


def tool(layout: Layout, name: str, wanted: Sequence[str], env: Mapping[str, str]) -> list[str | Path]:
    """A package manager from PyPI, run by the stack's Python and kept in the cache: the start of its command.

    name: of the module to run. wanted: what pip is told, `poetry>=2,<3` first. Raises BuildFailed.
    """
    home = layout.cache / name
    stored = layout.cache / f"{name}.tar.zst"
    label = layout.cache / f"{name}.version"
    version = f"{' '.join(wanted)} {sys.version_info[:3]}"
    same = label.is_file() and label.read_text() == version
    if not (same and archive.load(stored, home)):
        topic(f"Installing {name.capitalize()}")
        shutil.rmtree(home, ignore_errors=True)
        make_venv: list[str | Path] = [sys.executable, "-m", "venv", "--without-pip", home]
        install: list[str | Path] = [
            *runtime.stack_pip(),
            "--python",
            home / "bin/python",
            "install",
            "--disable-pip-version-check",
        ]
        install += ["--no-input", "--quiet", "--no-cache-dir", *wanted]
        if run(make_venv, layout.build_dir, env) or run(install, layout.build_dir, env):
            raise BuildFailed(f"{name.capitalize()} could not be installed; the reason is above.")
        archive.save(home, stored)
        label.write_text(version)
    return [home / "bin/python", "-m", name]


def remove_tool(layout: Layout, name: str) -> None:
    """Take the unpacked tool out of the cache, which keeps its archive."""
    shutil.rmtree(layout.cache / name, ignore_errors=True)


def list_installed(layout: Layout) -> None:
    """One line with what is there, so that the log of a build answers "which version?"."""
    found = sorted(path.name.removesuffix(".dist-info") for path in layout.site_packages().glob("*-info"))
    detail(f"Installed: {' '.join(name.removesuffix('.egg-info') for name in found) or 'nothing'}")
