"""The steps of a build, in order."""

from __future__ import annotations

import os
from pathlib import Path

from pack.steps import BuildFailed, config_vars, hook, topic, warning

from python_pack import django, install, version

_PROFILE = Path(__file__).with_name("profile.sh")


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    try:
        _compile(build_dir.resolve(), cache_dir, env_dir)
    except BuildFailed as failure:
        print(flush=True)
        warning(str(failure))
        return 1
    return 0


def _compile(build_dir: Path, cache_dir: Path, env_dir: Path) -> None:
    found = version.check(build_dir)
    topic(f"Using Python {found} of the stack")
    env = {
        **os.environ,
        **config_vars(env_dir, "PYTHONHOME", "PYTHONPATH"),
        "PYTHONUNBUFFERED": "1",
        "LANG": "en_US.UTF-8",
    }
    hook("pre_compile", build_dir, env)
    layout = install.prepare(build_dir, cache_dir)
    install.install(layout, found, env)
    install.list_installed(layout)
    env["PATH"] = f"{layout.home}/bin:{env['PATH']}"
    env["VIRTUAL_ENV"] = str(layout.home)
    django.collect_static(build_dir, layout.home, env)
    hook("post_compile", build_dir, env)
    django.hint(build_dir)
    profile = build_dir / ".profile.d/python.sh"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(_PROFILE.read_text())
    export = Path(__file__).parents[2] / "export"
    export.write_text(f'export PATH="{layout.home}/bin:$PATH"\nexport PYTHONUNBUFFERED=1\n')
