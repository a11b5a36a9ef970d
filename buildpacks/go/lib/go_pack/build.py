"""`go install` of the app, with the caches of the last build."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pack import archive
from pack.steps import BuildFailed, detail, run, topic, warning

CACHE_LIMIT = 600 << 20
"""Of each of the two caches, in bytes unpacked: a larger one is begun anew in the next build."""

_OUT_OF_REACH = re.compile(
    rb"(?:https?://([\w.-]+)(?::\d+)?/\S*\"?: )?"
    rb"(?:dial tcp|proxyconnect tcp|net/http: (?:TLS|request)|i/o timeout|no such host)"
)


class Caches:
    """Build and module cache of Go: kept as one archive each, written only when something was added."""

    def __init__(self, cache: Path, work: Path, key: str) -> None:
        self.places = {"build": work / "build", "modules": work / "modules"}
        self.cache = cache
        self.key = key
        self.before: dict[str, int] = {}

    def load(self) -> dict[str, str]:
        """Bring both back; returns the environment that makes Go use them."""
        key = self.cache / "caches.key"
        same = key.is_file() and key.read_text() == self.key
        for name, place in self.places.items():
            if not (same and archive.load(self.cache / f"{name}.tar.zst", place)):
                place.mkdir(parents=True, exist_ok=True)
            self.before[name] = _count(place)
        return {"GOCACHE": str(self.places["build"]), "GOMODCACHE": str(self.places["modules"])}

    def save(self) -> None:
        (self.cache / "caches.key").unlink(missing_ok=True)
        for name, place in self.places.items():
            file = self.cache / f"{name}.tar.zst"
            if _size(place) > CACHE_LIMIT:
                detail(f"The {name} cache has grown over {CACHE_LIMIT >> 20} MB; the next build begins a new one.")
                file.unlink(missing_ok=True)
            elif _count(place) != self.before[name] or not file.is_file():
                archive.save(place, file)
        (self.cache / "caches.key").write_text(self.key)


def flags(build_dir: Path, env: Mapping[str, str]) -> list[str]:
    """Arguments of `go list` and `go install`. Heroku: the tag `heroku`, GO_LINKER_SYMBOL and GO_LINKER_VALUE."""
    found = ["-tags", "heroku"]
    symbol, value = env.get("GO_LINKER_SYMBOL", ""), env.get("GO_LINKER_VALUE", "")
    if symbol and value:
        found += ["-ldflags", f"-X '{symbol}={value}'"]
    if (build_dir / "vendor/modules.txt").is_file():
        found.append("-mod=vendor")
    return found


def main_packages(build_dir: Path, arguments: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Packages of the module that are programs. Raises BuildFailed."""
    template = '{{if eq .Name "main"}}{{.ImportPath}}{{end}}'
    command = ["go", "list", "-find", *arguments, "-f", template, "./..."]
    done = subprocess.run(command, cwd=build_dir, env=dict(env), capture_output=True, check=False)
    if done.returncode:
        for line in done.stderr.decode(errors="replace").splitlines():
            detail(line)
        raise _failure(done.stderr, "go list could not read the module; its reason is above.")
    found = done.stdout.decode().split()
    if not found:
        raise BuildFailed(
            "The module has no program: none of its packages is called main.\n"
            "Add one, or name what to install by a line in go.mod: // +heroku install ./cmd/..."
        )
    return found


def install(build_dir: Path, packages: Sequence[str], arguments: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Programs into bin/; returns the names of those that are new or changed there, sorted. Raises BuildFailed."""
    target = build_dir / "bin"
    if target.is_file():
        raise BuildFailed("bin is a file, but the programs go to a directory of that name; rename it and push again.")
    target.mkdir(exist_ok=True)
    before = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    topic(f"Building: go install {shlex.join([*arguments, *packages])}")
    printed: list[bytes] = []
    if run(["go", "install", *arguments, *packages], build_dir, {**env, "GOBIN": str(target)}, printed):
        raise _failure(b"".join(printed), "Go could not build the app; its reason is above.")
    found = sorted(path.name for path in target.iterdir() if before.get(path.name) != path.stat().st_mtime_ns)
    detail(f"Installed: {' '.join(f'bin/{name}' for name in found) or 'nothing'}")
    return found


def default_program(build_dir: Path, programs: Sequence[str]) -> str:
    """What `web` runs unless the Procfile says it: the only program, or the one called web."""
    if len(programs) == 1:
        return f"bin/{programs[0]}"
    if "web" in programs:
        return "bin/web"
    if not (build_dir / "Procfile").is_file():
        warning("Nothing will run: there are several programs. Say which by a Procfile, e.g. web: bin/<program>")
    return ""


def _failure(said: bytes, otherwise: str) -> BuildFailed:
    match = _OUT_OF_REACH.search(said)
    if not match:
        return BuildFailed(otherwise)
    host = (match[1] or b"the module proxy").decode()
    return BuildFailed(
        f"Modules cannot be fetched from {host}: this platform's builds do not reach it.\n"
        "Either run 'go mod vendor' and commit the directory vendor/, or name a module proxy that can be reached\n"
        "by the config var GOPROXY, e.g. pogo config:set GOPROXY=https://<proxy>; then push again."
    )


def _count(directory: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(directory))


def _size(directory: Path) -> int:
    return sum(Path(where, name).lstat().st_size for where, _, names in os.walk(directory) for name in names)
