"""The source tree: unpacked from the tar that was pushed or uploaded, without what .slugignore names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from pogo import archive
from pogo.build.failures import AppFault, DiskFull, disk_is_full
from pogo.build.output import detail, warning
from pogo.rules import slugignore

_SHOWN = 5


def unpack(path: Path, build_dir: Path, *, pushed: bool = False) -> None:
    """Fill the new directory `build_dir` from a .tar or .tar.gz.

    A compressed tar whose files all lie in one top directory loses that directory, as the tarballs
    of code hosts have one; an uncompressed tar (a push), and one with an entry for `.` itself, is
    taken as it is. Links that lead out are refused in an upload; in a push they are told of, since
    git has kept such links for years where nobody needed them. Raises AppFault, DiskFull.
    """
    contents = examine(path)
    if contents.links_out:
        names = [*contents.links_out[:_SHOWN], *["…"] * (len(contents.links_out) > _SHOWN)]
        if not pushed:
            raise AppFault("The source is refused: it has symbolic links that lead out of it.", *names)
        warning("Symbolic links lead out of the app; what they name is not there in the build or in dynos:")
        for name in names:
            detail(name)
    extract(path, build_dir)
    top = contents.top_directory()
    if top and (only := build_dir / top).is_dir() and not only.is_symlink():
        stripped = build_dir.with_name(f"{build_dir.name}.top")
        only.rename(stripped)
        build_dir.rmdir()
        stripped.rename(build_dir)
    if (build_dir / ".git").is_dir():
        shutil.rmtree(build_dir / ".git")


def unpack_slug(path: Path, tree: Path) -> None:
    """Fill the new directory `tree` from the archive of a slug, whose entries lie below ./app/.

    Raises AppFault, DiskFull.
    """
    contents = examine(path, what="slug", within="app")
    if contents.links_out:
        raise AppFault("The slug is refused: it has symbolic links that lead out of it.", *contents.links_out[:_SHOWN])
    extract(path, tree, what="slug")


def examine(path: Path, *, what: str = "source", within: str = "") -> archive.Contents:
    try:
        return archive.examine(path, within=within)
    except archive.Refused as refused:
        raise AppFault(f"The {what} is refused: {refused}.") from refused


def extract(path: Path, directory: Path, *, what: str = "source") -> None:
    """Unpack an archive that was examined. The bits for set-user-id and the like are dropped."""
    directory.mkdir(mode=0o755)
    command = ["/usr/bin/tar", "-xf", str(path), "-C", str(directory), "--no-same-owner", "--no-same-permissions"]
    done = subprocess.run(command, capture_output=True, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    if done.returncode:
        if disk_is_full(directory, done.stderr):
            raise DiskFull
        tail = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise AppFault("\n".join([f"The {what} cannot be unpacked:", *tail]))


def apply_slugignore(build_dir: Path) -> int | None:
    """Delete what the top-level .slugignore names. Number of deleted files; None without such a file."""
    path = build_dir / ".slugignore"
    if not path.is_file():
        return None
    matches = slugignore.compile_patterns(path.read_text(errors="replace"))
    deleted = 0
    for directory, subdirectories, files in os.walk(build_dir):
        inside = Path(directory).relative_to(build_dir)
        for name in files:
            if matches((inside / name).as_posix(), False):
                Path(directory, name).unlink()
                deleted += 1
        for name in list(subdirectories):
            whole = Path(directory, name)
            if not matches((inside / name).as_posix(), not whole.is_symlink()):
                continue
            subdirectories.remove(name)
            if whole.is_symlink():
                whole.unlink()
                deleted += 1
            else:
                deleted += sum(len(found) for _, _, found in os.walk(whole))
                shutil.rmtree(whole)
    return deleted
