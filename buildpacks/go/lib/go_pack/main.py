"""The steps of a build, in order."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from pack.steps import BuildFailed, config_vars, detail, exit_status, hook, topic

from go_pack import build, toolchain, version

_BEFORE_MODULES = {
    "Gopkg.lock": "dep",
    "Godeps/Godeps.json": "godep",
    "vendor/vendor.json": "govendor",
    "glide.yaml": "glide",
}


def run(build_dir: Path, cache_dir: Path, env_dir: Path) -> int:
    """Returns the exit status of bin/compile."""
    return exit_status(lambda: _compile(build_dir.resolve(), cache_dir / "pogo-go", env_dir))


def _compile(build_dir: Path, cache: Path, env_dir: Path) -> None:
    go_mod = _go_mod(build_dir)
    env = {**os.environ, **config_vars(env_dir, "GOROOT", "GOPATH", "GOBIN", "GOCACHE", "GOMODCACHE", "GOTOOLCHAIN")}
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="go-"))
    goroot = work / "root"
    available = toolchain.available(env)
    chosen, remark = version.choose(version.wanted(go_mod, env.pop("GOVERSION", "")), available)
    toolchain.place(chosen, available[chosen], cache, goroot)
    if remark:
        detail(remark)
    caches = build.Caches(cache, work, f"{version.show(chosen)} {env.get('STACK', '')}")
    env = {
        **env,
        **caches.load(),
        "GOROOT": str(goroot),
        "GOPATH": str(work / "path"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": f"-modcacherw {env.get('GOFLAGS', '')}".strip(),
        "PATH": f"{goroot}/bin:{env['PATH']}",
    }
    hook("go-pre-compile", build_dir, env)
    arguments = build.flags(build_dir, env)
    named = shlex.split(env.get("GO_INSTALL_PACKAGE_SPEC", "")) or version.packages(go_mod)
    packages = named or build.main_packages(build_dir, arguments, env)
    programs = build.install(build_dir, packages, arguments, env)
    hook("go-post-compile", build_dir, env)
    caches.save()
    home = build_dir / ".heroku/go"
    home.mkdir(parents=True, exist_ok=True)
    (home / "web").write_text(build.default_program(build_dir, programs))
    profile = build_dir / ".profile.d/go.sh"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text('export PATH="$PATH:$HOME/bin"\n')
    export = Path(__file__).parents[2] / "export"
    export.write_text(f'export GOROOT="{goroot}"\nexport PATH="{goroot}/bin:{build_dir}/bin:$PATH"\n')
    for place in caches.places.values():
        shutil.rmtree(place)


def _go_mod(build_dir: Path) -> str:
    """The text of go.mod. Raises BuildFailed for apps of the time before modules."""
    path = build_dir / "go.mod"
    if path.is_file():
        return path.read_text(errors="replace")
    name = next((name for name in _BEFORE_MODULES if (build_dir / name).exists()), "")
    topic("There is no go.mod")
    tool = _BEFORE_MODULES.get(name, "another tool")
    raise BuildFailed(
        f"The dependencies of this app are managed by {tool} ({name}), which Go has replaced by modules.\n"
        "Run 'go mod init <module name>' and 'go mod tidy', commit go.mod and go.sum, and push again."
    )
