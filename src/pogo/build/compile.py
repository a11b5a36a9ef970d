"""The first half of a build: source and buildpacks in, the tree of the slug out."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pogo.build import fields, manifest, packs, submodules
from pogo.build.failures import AppFault, CompileFailed
from pogo.build.fetch import Pack, Shelf
from pogo.build.output import detail, topic, warning
from pogo.build.packs import Workspace
from pogo.build.request import Places, Request
from pogo.build.source import apply_slugignore, unpack, unpack_slug
from pogo.rules import buildpacks, procfile

OVERRIDE = "BUILDPACK_URL"


@dataclass
class Compiled:
    """What pack and pogod need to know, as it is written to the result file.

    buildpacks: those used, to be pinned; none where BUILDPACK_URL overrode them.
    """

    detected: str = ""
    buildpacks: list[dict[str, str]] = field(default_factory=list)
    process_types: dict[str, str] = field(default_factory=dict)
    default_types: list[str] = field(default_factory=list)
    config_vars: dict[str, str] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)
    slug_max_mb: int = 0


def run(request: Request, places: Places) -> None:
    """Compile one app. Raises AppFault and its kinds; prints everything that the pusher sees."""
    compiled = Compiled(slug_max_mb=request.slug_max_mb)
    if request.kind == "slug":
        unpack_slug(places.inputs / "source.tar", places.slug)
    else:
        _compile(request, places, compiled)
    places.result.write_text(json.dumps(vars(compiled)))


def _compile(request: Request, places: Places, compiled: Compiled) -> None:
    topic(f"Building on the {request.stack_name.capitalize()} stack")
    space = Workspace(
        build_dir=places.tmp / f"build_{request.build_id}",
        cache_dir=places.cache,
        env_dir=places.tmp / f"env_{request.build_id}",
        env=request.base_env(places),
        memory_mb=request.memory_mb,
    )
    _restore(places)
    unpack(places.inputs / "source.tar", space.build_dir, pushed=request.pushed)
    if request.pushed:
        submodules.fetch(space.build_dir, request.registry.mirrors, space.env, places.tmp / "submodules")
    _write_env_dir(space.env_dir, request.config)
    wanted = manifest.announce(space.build_dir, request) if request.first else ()
    ignored = apply_slugignore(space.build_dir)
    if ignored is not None:
        topic(f"Deleting {ignored} files matching .slugignore patterns.")
    space = replace(space, env=fields.filled(space.env, space.build_dir))
    shelf = Shelf(request.registry, places.bundled, places.packs, space.env)
    override = request.config.get(OVERRIDE, "").strip()
    if override:
        warning(f"The config var {OVERRIDE} goes before the buildpacks of the app. It is deprecated:")
        detail(f"set it by 'pogo buildpacks:set', then 'pogo config:unset {OVERRIDE}'.")
    listed = [override] if override else list(request.buildpacks or wanted)
    if listed:
        defaults = _with_list(listed, space, shelf, places, compiled)
    else:
        defaults = _detected(space, shelf, places, compiled)
    if override:
        compiled.buildpacks.clear()
    _discover_processes(space.build_dir, defaults, compiled)
    _hand_over(space, shelf, places)


def _hand_over(space: Workspace, shelf: Shelf, places: Places) -> None:
    if not space.build_dir.is_dir() or space.build_dir.is_symlink():
        raise AppFault("The build tree is gone: a buildpack removed or replaced its BUILD_DIR.")
    shelf.tidy()
    for tree in (space.build_dir, places.kept):
        # A file that its owner cannot read could be neither packed nor used.
        subprocess.run(["/usr/bin/chmod", "-R", "u+rwX", str(tree)], check=False, capture_output=True)
    places.slug.mkdir(mode=0o755)
    space.build_dir.rename(places.slug / "app")


def _write_env_dir(directory: Path, config: dict[str, str]) -> None:
    directory.mkdir(mode=0o700)
    for name, value in config.items():
        if name and "/" not in name and name not in (".", ".."):
            (directory / name).write_bytes(value.encode())


def _restore(places: Places) -> None:
    """CACHE_DIR and copies of buildpacks as the last build left them; empty where that cannot be read."""
    places.kept.mkdir()
    saved = places.inputs / "cache.tar.zst"
    if saved.is_file():
        command = ["/usr/bin/tar", "--zstd", "-xf", str(saved), "-C", str(places.kept), "--no-same-owner"]
        done = subprocess.run(command, capture_output=True, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
        if done.returncode:
            warning("The build cache is damaged; it is made anew, which takes longer this once.")
            shutil.rmtree(places.kept)
            places.kept.mkdir()
    places.cache.mkdir(exist_ok=True)
    places.packs.mkdir(exist_ok=True)


def _with_list(
    listed: Sequence[str], space: Workspace, shelf: Shelf, places: Places, compiled: Compiled
) -> dict[str, str]:
    names = [buildpacks.display_name(given) for given in listed]
    if len(names) == 1:
        topic(f"Using buildpack: {names[0]}")
    else:
        topic("Using buildpacks:")
        for number, name in enumerate(names, start=1):
            detail(f"{number}. {name}")
    # All are fetched first: an address that is wrong shall not cost the minutes of another pack's compile.
    fetched = [shelf.fetch(given, places.tmp / "packs" / str(number)) for number, given in enumerate(listed)]
    defaults: dict[str, str] = {}
    for number, pack in enumerate(fetched):
        matches, text = packs.detect(pack, space)
        if not matches:
            topic(f"App not compatible with buildpack: {pack.given}")
            for line in text.splitlines():
                detail(line)
            raise AppFault("")
        defaults = _apply(pack, text, fetched[:number], space, compiled)
    return defaults


def _detected(space: Workspace, shelf: Shelf, places: Places, compiled: Compiled) -> dict[str, str]:
    """Without a list: the first of the platform's packs that matches; a Procfile alone needs none."""
    topic("Determining which buildpack to use for this app")
    for name in shelf.registry.detection_candidates():
        pack = shelf.fetch(name, places.tmp / "packs" / name.replace("/", "-"))
        matches, display = packs.detect(pack, space)
        if matches:
            return _apply(pack, display, [], space, compiled)
    if (space.build_dir / "Procfile").is_file():
        topic("Procfile app detected")
        detail("No buildpack matches; the app runs as its Procfile says.")
        compiled.detected = "Procfile"
        return {}
    names = ", ".join(name.removeprefix("heroku/") for name in shelf.registry.detection_candidates())
    raise AppFault(
        "No default language could be detected for this app.",
        "HINT: This occurs when the buildpack to use for this application cannot be found automatically:",
        f"none of the platform's buildpacks ({names}) finds its files in the top directory,",
        "such as requirements.txt, package.json, Gemfile, go.mod, composer.json or index.html,",
        "and there is no Procfile.",
        "Are the files committed? Else choose one by 'pogo buildpacks:set <name or git URL>'.",
    )


def _apply(pack: Pack, display: str, earlier: Sequence[Pack], space: Workspace, compiled: Compiled) -> dict[str, str]:
    """Compile, report, release of one pack that matched. Returns its default process types."""
    topic(f"{display} app detected")
    try:
        packs.compile_app(pack, display, earlier, space)
    finally:
        compiled.report.append(packs.report(pack, space))
    released = packs.release(pack, display, space)
    compiled.detected = display
    compiled.buildpacks.append({"url": buildpacks.stored_url(pack.given), "name": pack.name})
    # As with process types, the last pack's word is the one that counts.
    compiled.config_vars = _texts(pack, display, released, "config_vars")
    addons = released.get("addons")
    if isinstance(addons, list) and addons:
        detail(f"Add-ons that the buildpack asks for, and a push does not create: {', '.join(map(str, addons))}")
    return _texts(pack, display, released, "default_process_types")


def _texts(pack: Pack, display: str, released: dict[str, object], key: str) -> dict[str, str]:
    found = released.get(key) or {}
    if not isinstance(found, dict):
        raise CompileFailed(display, f"bin/release of {pack.name}: {key} is not a map.")
    return {str(name): str(value) for name, value in found.items() if value is not None}


def _discover_processes(build_dir: Path, defaults: dict[str, str], compiled: Compiled) -> None:
    """Read the Procfile as the packs left it, and merge the defaults below it."""
    topic("Discovering process types")
    path = build_dir / "Procfile"
    try:
        declared = procfile.parse_bytes(path.read_bytes()) if path.is_file() else procfile.Procfile({})
    except procfile.InvalidProcfile as error:
        raise AppFault(
            f"The Procfile is not valid: {error}.",
            "Each line has to be '<process type>: <command>', for example 'web: gunicorn app:app'.",
            rejected="Push rejected, the Procfile is not valid.",
        ) from error
    added = sorted(set(defaults) - set(declared.types))
    padding = " " * 4 if added else ""
    detail(f"Procfile declares types{padding} -> {', '.join(sorted(declared.types)) or '(none)'}")
    if added:
        detail(f"Default types for buildpack -> {', '.join(added)}")
    for number, text in declared.ignored.items():
        warning(f"Line {number} of the Procfile is passed over, it is not of the form 'name: command': {text[:60]}")
    compiled.process_types = procfile.merge(declared.types, defaults)
    compiled.default_types = added
