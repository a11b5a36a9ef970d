"""The steps of a build, in order."""

from __future__ import annotations

import os
from pathlib import Path

from pack.steps import BuildFailed, config_vars, exit_status, hook

from python_pack import django, environment, managers, pip, pipenv, poetry, runtime, uv, version
from python_pack.environment import Layout

_PROFILE = Path(__file__).with_name("profile.sh")
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_LIBRARIES = """\
export LD_LIBRARY_PATH="{home}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
export LIBRARY_PATH="{home}/lib${{LIBRARY_PATH:+:$LIBRARY_PATH}}"
"""
"""For a Python that is not the stack's: Heroku's is linked to a shared library of its own."""


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    return exit_status(lambda: _compile(build_dir.resolve(), cache_dir / "pogo-python", env_dir))


def _compile(build_dir: Path, cache: Path, env_dir: Path) -> None:
    env = {
        **os.environ,
        **config_vars(env_dir, "PYTHONHOME", "PYTHONPATH"),
        "PYTHONUNBUFFERED": "1",
        "LANG": "en_US.UTF-8",
    }
    if _AUTHORITIES.is_file():  # tools that bring their own list would not know the operator's
        env = {"REQUESTS_CA_BUNDLE": str(_AUTHORITIES), "SSL_CERT_FILE": str(_AUTHORITIES), **env}
    for name in ("PYTHONHOME", "PYTHONPATH"):
        env.pop(name, None)
    cache.mkdir(parents=True, exist_ok=True)
    hook("pre_compile", build_dir, env)
    for name in (".venv", "venv"):
        if (build_dir / name / "pyvenv.cfg").is_file():
            raise BuildFailed(
                f"The directory {name}/ is a virtual environment: it works on the machine only where it was made.\n"
                f"Remove it and push again: git rm -r --cached {name} && echo {name}/ >> .gitignore"
            )
    manager = managers.choose(build_dir)
    python = runtime.choose(version.wanted(build_dir, manager), cache)
    layout = environment.prepare(build_dir, cache, python)
    if python.archive:
        env["LD_LIBRARY_PATH"] = env["LIBRARY_PATH"] = f"{layout.home}/lib"
        env["C_INCLUDE_PATH"] = env["CPLUS_INCLUDE_PATH"] = f"{layout.home}/include"
        env["PKG_CONFIG_PATH"] = f"{layout.home}/lib/pkgconfig"
    _install(layout, manager, env)
    environment.list_installed(layout)
    env["PATH"] = f"{layout.home}/bin:{env['PATH']}"
    env["VIRTUAL_ENV"] = str(layout.home)
    django.collect_static(build_dir, layout.site_packages(), layout.program, env)
    hook("post_compile", build_dir, env)
    django.hint(build_dir)
    environment.relocate(layout, str(build_dir), "/app")
    _describe(layout)


def _install(layout: Layout, manager: str, env: dict[str, str]) -> None:
    match manager:
        case "pip":
            pip.install(layout, env, ["-r", "requirements.txt"])
        case "setup.py":
            pip.install(layout, env, ["."])
        case "uv":
            uv.install(layout, env)
        case "poetry":
            poetry.install(layout, env)
        case "pipenv":
            pipenv.install(layout, env)
        case _:
            environment.make(layout, env)


def _describe(layout: Layout) -> None:
    """What the processes of the app, and the packs that come after this one, have to know."""
    own = layout.python.archive == ""
    profile = layout.build_dir / ".profile.d/python.sh"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(_PROFILE.read_text() + ("" if own else _LIBRARIES.format(home="$HOME/.heroku/python")))
    export = Path(__file__).parents[2] / "export"
    lines = f'export PATH="{layout.home}/bin:$PATH"\nexport PYTHONUNBUFFERED=1\n'
    export.write_text(lines + ("" if own else _LIBRARIES.format(home=layout.home)))
