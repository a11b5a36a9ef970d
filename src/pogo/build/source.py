"""The source tree: unpacked from the tar that was pushed or uploaded, without what .slugignore names."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from pogo.build.failures import AppFault, DiskFull, disk_is_full
from pogo.rules import slugignore

MAX_ENTRIES = 1_000_000
MAX_BYTES = 8 << 30


def unpack(archive: Path, build_dir: Path) -> None:
    """Fill the new directory `build_dir` from a .tar or .tar.gz.

    A compressed tar whose files all lie in one top directory loses that directory, as the tarballs
    of code hosts have one; an uncompressed tar (a push) is taken as it is. Raises AppFault,
    DiskFull.
    """
    compressed, tops = _examine(archive)
    build_dir.mkdir(mode=0o755)
    command = ["/usr/bin/tar", "-xf", str(archive), "-C", str(build_dir), "--no-same-owner", "--no-same-permissions"]
    done = subprocess.run(command, capture_output=True, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    if done.returncode:
        if disk_is_full(build_dir, done.stderr):
            raise DiskFull
        raise AppFault(f"The source cannot be unpacked: {done.stderr.decode(errors='replace').strip()}")
    if compressed and len(tops) == 1 and (only := build_dir / tops.pop()).is_dir() and not only.is_symlink():
        stripped = build_dir.with_name(f"{build_dir.name}.top")
        only.rename(stripped)
        build_dir.rmdir()
        stripped.rename(build_dir)
    if (build_dir / ".git").is_dir():
        shutil.rmtree(build_dir / ".git")


def _examine(archive: Path) -> tuple[bool, set[str]]:
    """(is it compressed, names at its top). Raises AppFault for an archive that is not an honest source tree."""
    size = entries = 0
    links: set[str] = set()
    tops: set[str] = set()
    compressed = archive.open("rb").read(2) == b"\x1f\x8b"
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                reason = _refusal(member, parts, links)
                if reason:
                    raise AppFault(f"The source is refused: {member.name!r} {reason}.")
                if member.issym():
                    links.add("/".join(parts))
                tops.update(parts[:1])
                entries += 1
                size += member.size
                if entries > MAX_ENTRIES or size > MAX_BYTES:
                    raise AppFault(
                        f"The source is refused: it unpacks to more than {MAX_BYTES >> 30} GB or {MAX_ENTRIES} files."
                    )
    except (tarfile.TarError, EOFError, OSError) as error:
        raise AppFault(f"The source is not a readable .tar or .tar.gz archive: {error}") from error
    if not tops:
        raise AppFault("The source is empty: there is nothing to build.")
    return compressed, tops


def _refusal(member: tarfile.TarInfo, parts: list[str], links: set[str]) -> str:
    """Why a member may not be in a source archive; empty if it may."""
    if member.name.startswith("/") or ".." in parts:
        return "points outside the source tree"
    if member.islnk() and (member.linkname.startswith("/") or ".." in member.linkname.split("/")):
        return f"is a hard link to {member.linkname!r}, outside the source tree"
    if member.isdev():
        return "is a device or a pipe"
    if links and any("/".join(parts[:depth]) in links for depth in range(1, len(parts))):
        return "lies behind a symbolic link"
    return ""


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
