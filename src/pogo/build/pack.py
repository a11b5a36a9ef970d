"""The second half of a build: the tree of the slug to an image, the cache to an archive.

It runs in a container of its own where nothing of the app runs, but the files were written by the
app's code: nothing here is imported, executed or trusted from them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

from pogo.build.failures import AppFault, DiskFull, PlatformFault, disk_is_full
from pogo.build.output import detail, megabytes, topic, warning
from pogo.build.request import Places, Request

SOFT_LIMIT_MB = 500
_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def run(places: Places) -> None:
    """Write slug.squashfs, cache.tar.zst (the cache, and kept buildpacks) and result.json. Raises AppFault, DiskFull.

    The limit of the slug is that of build.json where this container has it, too; else what compile left.
    """
    compiled, slug_max_mb = _read_result(places)
    if (places.inputs / "build.json").is_file():
        slug_max_mb = Request.load(places.inputs / "build.json").slug_max_mb
    topic("Compressing...")
    slug = places.outputs / "slug.squashfs"
    _pack_slug(places.slug, slug)
    size = slug.stat().st_size
    if size > slug_max_mb << 20:
        slug.unlink()
        raise AppFault(
            f"Compiled slug size: {megabytes(size)} is too large (max is {slug_max_mb}M).",
            "Leave out what the running app does not need by a .slugignore file, or use smaller dependencies.",
            rejected="Push rejected, the slug is too large.",
        )
    detail(f"Done: {megabytes(size)}")
    if size > min(SOFT_LIMIT_MB << 20, slug_max_mb << 19):
        warning(f"The slug is large: {megabytes(size)} (max is {slug_max_mb}M). A .slugignore file may help.")
    cache_size = 0
    if places.kept.is_dir():  # not for a slug that was made elsewhere
        cache = places.outputs / "cache.tar.zst"
        _command(["tar", "-C", str(places.kept), "-I", "zstd -3 -T0 -q", "-cf", str(cache), "."], places.outputs)
        cache_size = cache.stat().st_size
    with slug.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    result = {**compiled, "size": size, "checksum": checksum, "cache_size": cache_size}
    (places.outputs / "result.json").write_text(json.dumps(result))


def _pack_slug(tree: Path, image: Path) -> None:
    """A squashfs image (zstd) of `tree`, every file root's, without extended attributes.

    The same files give the same image: the time of packing is not in it.
    """
    if tree.is_symlink() or not (tree / "app").is_dir() or (tree / "app").is_symlink():
        raise AppFault("The build tree is gone: a buildpack removed or replaced its BUILD_DIR.")
    if [path.name for path in tree.iterdir()] != ["app"]:
        raise AppFault(f"A process left behind by a buildpack has put files into {tree}.")
    # Every file becomes root's: nothing may run with root's rights by its own bits.
    _command(["find", str(tree), "-type", "f", "-perm", "/6000", "-exec", "chmod", "ug-s", "{}", "+"], image.parent)
    options = ["-comp", "zstd", "-Xcompression-level", "3", "-all-root", "-no-xattrs", "-no-exports", "-mkfs-time", "0"]
    output = ["-root-mode", "755", "-noappend", "-no-progress", "-quiet"]
    _command(["mksquashfs", str(tree), str(image), *options, *output], image.parent)


def _command(command: list[str], outputs: Path) -> None:
    done = subprocess.run(command, cwd="/", env=_ENV, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        if disk_is_full(outputs, done.stderr + done.stdout):
            raise DiskFull
        tail = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()[-5:]
        raise PlatformFault("\n".join([f"{command[0]} failed with status {done.returncode}:", *tail]))


def _read_result(places: Places) -> tuple[dict[str, object], int]:
    """The result of compile, cut down to the shapes that pogod relies on; the limit of the slug in MB."""
    try:
        given = json.loads(places.result.read_text())
        limit = int(given["slug_max_mb"])
        result: dict[str, object] = {
            "process_types": {str(name): str(command) for name, command in given["process_types"].items()},
            "default_types": [str(name) for name in given["default_types"]],
            "config_vars": {str(name): str(value) for name, value in given["config_vars"].items()},
            "detected": str(given["detected"])[:200],
            "buildpacks": [{"url": str(pack["url"]), "name": str(pack["name"])} for pack in given["buildpacks"]],
            "report": [str(text) for text in given["report"]],
        }
        return result, limit
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AppFault(f"The result of the build is gone: a buildpack changed {places.result}.") from error
