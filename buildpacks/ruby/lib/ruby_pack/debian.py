"""The locked gems out of Debian's ruby-* packages, for a network in which no gem index answers.

Debian has one version of a gem per release. Gems whose version is that of the lock are laid out below
vendor/bundle as if bundler had installed them; any other is refused by name, since an app that runs with
other gems than it was tested with is worse than a build that fails.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pack import debs
from pack.steps import BuildFailed, detail, topic

from ruby_pack import version
from ruby_pack.app import SHARED, App, machine
from ruby_pack.lockfile import Gem

_HERE = Path(__file__).parent
_FFI_PATH = re.compile(rb'(ffi_lib[\s(]*")/usr/lib/[^"\n]*/(?=lib[^"/\n]+")')
"""A shared library that a gem loads by Debian's path: by its name alone it is found beside the gems as well."""
_OTHER_NAMES = {"propshaft": "ruby-rails-propshaft", "concurrent-ruby": "ruby-concurrent"}
"""Gem → Debian package, where the usual rule does not lead to it."""


@dataclass(frozen=True)
class Found:
    """A gem on the disk. spec: its gemspec. root: the tree that holds it. package: the file or name of its package."""

    version: str
    spec: Path
    root: Path

    @property
    def directory(self) -> Path:
        """Its own directory; packages made in the old way have none."""
        return self.spec.parents[1] / "gems" / self.spec.stem


def provide(app: App, vendored: set[str]) -> None:
    """Lay the gems out below vendor/bundle, but for those in vendor/cache. Raises BuildFailed."""
    if not app.ruby.own:
        raise BuildFailed(
            f"Debian's gems fit its own Ruby only, and this app asks for Ruby {app.ruby.version}.\n"
            "Make the gem index reachable, or take the gems along by 'bundle cache'."
        )
    wanted = [gem for gem in _wanted(app) if not gem.is_among(vendored)]
    foreign = [f"{gem.name} {gem.version}: from a git repository" for gem in wanted if gem.source == "git"]
    gems = [gem for gem in wanted if gem.source == "gem" and not _is_default(app, gem)]
    with tempfile.TemporaryDirectory() as temporary:
        root, cache = Path(temporary, "root"), Path(temporary, "cache")
        here = {gem.name: found for gem in gems if (found := _find(gem.name, gem.version, Path("/"), app))}
        packages = _packages([gem.name for gem in gems if gem.name not in here], cache, app)
        if packages:
            topic(f"Fetching gems from Debian: {len(packages)} packages")
            debs.install(sorted(set(packages.values())), root, cache, app.env, updated=True)
        for gem in gems:
            if gem.name not in here and (found := _find(gem.name, gem.version, root, app)):
                here[gem.name] = found
        missing = [gem for gem in gems if gem.name not in here]
        if missing or foreign:
            raise BuildFailed(_refusal([*foreign, *(_what_debian_has(gem, root, app) for gem in missing)]))
        for gem in gems:
            _lay_out(app, gem, here[gem.name], cache, packages.get(gem.name, ""))
        _write_specs(app, [(gem, here[gem.name]) for gem in gems])
        _shared_libraries(app, root)
    detail(f"{len(gems)} gems from Debian")


def _wanted(app: App) -> list[Gem]:
    """One variant of every gem outside BUNDLE_WITHOUT."""
    command = [app.program, _HERE / "groups.rb"]
    done = subprocess.run(command, cwd=app.build_dir, env=app.env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"The Gemfile cannot be read:\n{done.stderr.strip()}")
    return choose_variants(app.lock.closure(done.stdout.split()), machine())


def choose_variants(gems: Iterable[Gem], machine: str) -> list[Gem]:
    """Of several variants of a gem the one that bundler takes on this kind of machine."""
    order = (f"{machine}-linux-gnu", f"{machine}-linux", "ruby")
    best: dict[str, Gem] = {}
    for gem in gems:
        if gem.platform not in order:
            continue
        if gem.name not in best or order.index(gem.platform) < order.index(best[gem.name].platform):
            best[gem.name] = gem
    return list(best.values())


def _is_default(app: App, gem: Gem) -> bool:
    """Whether this version is part of Ruby itself."""
    place = Path(f"/usr/lib/ruby/gems/{_api(app)}/specifications/default")
    return gem.name == "bundler" or (place / f"{gem.name}-{gem.version}.gemspec").is_file()


def _api(app: App) -> str:
    return f"{version.series(app.ruby.version)}.0"


def _places(root: Path, app: App) -> list[Path]:
    """Where Debian keeps gemspecs."""
    integrated = "rubygems-integration"
    return [
        root / f"usr/share/{integrated}/all/specifications",
        root / f"usr/share/{integrated}/{_api(app)}/specifications",
        *sorted((root / "usr/lib").glob(f"*-linux-gnu*/{integrated}/{_api(app)}/specifications")),
        root / f"usr/lib/ruby/gems/{_api(app)}/specifications",
    ]


def _find(name: str, version: str, root: Path, app: App) -> Found | None:
    specs = (place / f"{name}-{version}.gemspec" for place in _places(root, app))
    return next((Found(version, spec, root) for spec in specs if spec.is_file()), None)


def _what_debian_has(gem: Gem, root: Path, app: App) -> str:
    """A line about a gem that cannot be had."""
    found = []
    for place in (*_places(root, app), *_places(Path("/"), app)):
        for spec in place.glob(f"{gem.name}-[0-9]*.gemspec"):
            found.append(spec.stem.removeprefix(f"{gem.name}-"))
    has = f"Debian has {', '.join(sorted(set(found)))}" if found else "Debian has no package of it"
    return f"{gem.name} {gem.version}: {has}"


def _refusal(lines: Sequence[str]) -> str:
    shown = "\n".join(f"  {line}" for line in lines)
    return (
        f"These gems of Gemfile.lock cannot be had here:\n{shown}\n"
        "Either take the gems along (bundle cache --all-platforms, commit vendor/cache), or use the versions that\n"
        "Debian has, or ask the operator of this platform for a gem index (BUNDLE_MIRROR__ALL for all builds)."
    )


def candidates(name: str) -> list[str]:
    """Names that the Debian package of a gem may have, likely ones first."""
    plain = name.lower().replace("_", "-")
    short = plain.removeprefix("ruby-").removesuffix("-ruby")
    names = [_OTHER_NAMES.get(name, ""), f"ruby-{plain}", plain, f"ruby-{short}", short]
    return list(dict.fromkeys(filter(None, names)))


def _packages(names: Iterable[str], cache: Path, app: App) -> dict[str, str]:
    """Gem → Debian package, of those that there are."""
    known = debs.known(cache, app.env)
    chosen = {name: next((one for one in candidates(name) if one in known), "") for name in names}
    return {name: package for name, package in chosen.items() if package}


def _lay_out(app: App, gem: Gem, found: Found, cache: Path, package: str) -> None:
    """The files of one gem as an installed gem has them."""
    target = app.gem_home / "gems" / gem.full_name
    target.mkdir(parents=True, exist_ok=True)
    if found.directory.is_dir():
        shutil.copytree(found.directory, target, dirs_exist_ok=True)
    elif package:
        _gather(target, found.root, _files(package, cache), app)
    for built in (found.spec.parents[1] / "extensions").glob(f"*/{_api(app)}/{found.spec.stem}"):
        ignored = shutil.ignore_patterns("gem.build_complete", "*.out", "*.log")
        shutil.copytree(built, target / "lib", dirs_exist_ok=True, ignore=ignored)
    if "ffi" in gem.needs:
        for file in target.rglob("*.rb"):
            text = file.read_bytes()
            if text != (changed := _FFI_PATH.sub(rb"\1", text)):
                file.write_bytes(changed)


def _files(package: str, cache: Path) -> list[str]:
    """Paths in a package that was fetched, relative to `/`."""
    file = next(cache.glob(f"apt/archives/{package}_*.deb"))
    command = ["dpkg-deb", "--fsys-tarfile", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader, _open(reader.stdout) as tar:
        return [member.name.removeprefix("./") for member in tar if not member.isdir()]


def _open(stream: IO[bytes] | None) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|")


def _gather(target: Path, root: Path, files: Iterable[str], app: App) -> None:
    """Libraries and programs that a package puts among those of all others."""
    for name in files:
        head, _, tail = name.partition("/vendor_ruby/")
        source = root / name
        if not source.is_file():
            continue
        if tail:
            to = target / "lib" / tail.removeprefix(f"{_api(app)}/")
        elif head.startswith("usr/bin/") and b"activate_bin_path" not in source.read_bytes():
            to = target / "bin" / source.name
        else:
            continue
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, to)


def _write_specs(app: App, gems: Iterable[tuple[Gem, Found]]) -> None:
    listed = [
        {"spec": str(found.spec), "platform": gem.platform, "needs": gem.needs, "flat": not found.directory.is_dir()}
        for gem, found in gems
    ]
    (app.gem_home / "specifications").mkdir(parents=True, exist_ok=True)
    command = [app.program, _HERE / "repack.rb", app.gem_home]
    done = subprocess.run(command, input=json.dumps(listed), env=app.env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"The gems from Debian cannot be laid out:\n{done.stderr.strip()}")


def _shared_libraries(app: App, root: Path) -> None:
    """Those that gems link or load, beside the gems."""
    for directory in (root / "usr/lib").glob("*-linux-gnu*"):
        for library in directory.glob("*.so*"):
            (app.build_dir / SHARED).mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, app.build_dir / SHARED / library.name, follow_symlinks=False)
