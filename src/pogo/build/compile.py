"""The first half of a build: source and buildpacks in, the tree of the slug out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pogo.build import packs
from pogo.build.failures import AppFault, CompileFailed
from pogo.build.output import detail, topic, warning
from pogo.build.packs import Pack, Workspace
from pogo.build.request import Places, Request
from pogo.build.source import apply_slugignore, unpack
from pogo.rules import buildpacks, procfile


@dataclass
class Compiled:
    """What pack and pogod need to know, as it is written to the result file."""

    detected: str
    buildpacks: list[dict[str, str]] = field(default_factory=list)
    process_types: dict[str, str] = field(default_factory=dict)
    default_types: list[str] = field(default_factory=list)
    config_vars: dict[str, str] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)
    slug_max_mb: int = 0


def run(request: Request, places: Places) -> None:
    """Compile one app. Raises AppFault and its kinds; prints everything that the pusher sees."""
    topic(f"Building on the {request.stack_name.capitalize()} stack")
    space = Workspace(
        build_dir=places.tmp / f"build_{request.build_id}",
        cache_dir=places.cache,
        env_dir=places.tmp / f"env_{request.build_id}",
        env=request.base_env(places),
    )
    unpack(places.inputs / "source.tar", space.build_dir)
    _write_env_dir(space.env_dir, request.config)
    _restore_cache(places)
    ignored = apply_slugignore(space.build_dir)
    if ignored is not None:
        topic(f"Deleting {ignored} files matching .slugignore patterns.")
    listed = [override] if (override := request.config.get("BUILDPACK_URL", "")) else list(request.buildpacks)
    compiled, defaults = _with_list(listed, space, places) if listed else _detected(space, places)
    _discover_processes(space.build_dir, defaults, compiled)
    for tree in (space.build_dir, space.cache_dir):
        # A file that its owner cannot read could be neither packed nor used.
        subprocess.run(["/usr/bin/chmod", "-R", "u+rwX", str(tree)], check=False, capture_output=True)
    places.slug.mkdir(mode=0o755)
    space.build_dir.rename(places.slug / "app")
    compiled.slug_max_mb = request.slug_max_mb
    places.result.write_text(json.dumps(vars(compiled)))


def _write_env_dir(directory: Path, config: dict[str, str]) -> None:
    directory.mkdir(mode=0o700)
    for name, value in config.items():
        if name and "/" not in name and name not in (".", ".."):
            (directory / name).write_text(value)


def _restore_cache(places: Places) -> None:
    places.cache.mkdir()
    saved = places.inputs / "cache.tar.zst"
    if not saved.is_file():
        return
    command = ["/usr/bin/tar", "--zstd", "-xf", str(saved), "-C", str(places.cache), "--no-same-owner"]
    done = subprocess.run(command, capture_output=True, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    if done.returncode:
        warning("The build cache is damaged; this build starts without it.")
        subprocess.run(["/usr/bin/rm", "-rf", str(places.cache)], check=True)
        places.cache.mkdir()


def _with_list(listed: Sequence[str], space: Workspace, places: Places) -> tuple[Compiled, dict[str, str]]:
    names = [buildpacks.display_name(given) for given in listed]
    if len(names) == 1:
        topic(f"Using buildpack: {names[0]}")
    else:
        topic("Using buildpacks:")
        for number, name in enumerate(names, start=1):
            detail(f"{number}. {name}")
    earlier: list[Pack] = []
    compiled = Compiled(detected="")
    defaults: dict[str, str] = {}
    for number, given in enumerate(listed):
        pack = packs.fetch(given, places.tmp / "packs" / str(number), places.bundled, space.env)
        matches, text = packs.detect(pack, space)
        if not matches:
            topic(f"App not compatible with buildpack: {given}")
            for line in text.splitlines():
                detail(line)
            raise AppFault("")
        defaults = _apply(pack, text, earlier, space, compiled)
        earlier.append(pack)
    return compiled, defaults


def _detected(space: Workspace, places: Places) -> tuple[Compiled, dict[str, str]]:
    """Without a list: the first of the platform's packs that matches; a Procfile alone needs none."""
    topic("Determining which buildpack to use for this app")
    for name in buildpacks.detection_candidates():
        pack = packs.fetch(name, places.tmp / "packs" / name.replace("/", "-"), places.bundled, space.env)
        matches, display = packs.detect(pack, space)
        if matches:
            compiled = Compiled(detected="")
            return compiled, _apply(pack, display, [], space, compiled)
    if (space.build_dir / "Procfile").is_file():
        topic("Procfile app detected")
        detail("No buildpack matches; the app runs as its Procfile says.")
        return Compiled(detected="Procfile"), {}
    raise AppFault(
        "No default language could be detected for this app.",
        "HINT: This occurs when the buildpack to use for this application cannot be found automatically:",
        "the top directory has none of requirements.txt, pyproject.toml, manage.py, Pipfile (Python),",
        "package.json (Node.js), static.json, index.html (static site), and no Procfile.",
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
    config_vars = released.get("config_vars") or {}
    if isinstance(config_vars, dict):
        compiled.config_vars.update({str(key): str(value) for key, value in config_vars.items()})
    defaults = released.get("default_process_types") or {}
    if not isinstance(defaults, dict):
        raise CompileFailed(display, f"bin/release of {pack.name}: default_process_types is not a map.")
    return {str(name): str(command) for name, command in defaults.items()}


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
    for number in declared.ignored:
        warning(f"Procfile line {number} is ignored: it is not of the form 'name: command'.")
    compiled.process_types = procfile.merge(declared.types, defaults)
    compiled.default_types = added
