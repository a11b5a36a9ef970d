"""Tar archives from strangers: what is in them is looked at before anything is unpacked.

Sources, slugs and buildpacks that somebody uploads come through here. Nothing is unpacked outside of
a build container; this is the first lock, that container the second.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import normpath
from typing import Any, BinaryIO

MAX_ENTRIES = 1_000_000
MAX_BYTES = 8 << 30
RATIO = 100
RATIO_FROM = 256 << 20
"""Above so many unpacked bytes an archive may not unpack to more than RATIO times its size."""

_HEADER = 1 << 20
_GZIP = b"\x1f\x8b"
_SYSTEM = (
    *("/app", "/tmp", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt"),  # noqa: S108
    *("/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self"),
    *("/etc/ssl", "/etc/alternatives", "/etc/localtime"),
)
"""Places of a dyno that a symbolic link may name: the app itself, the stack, the process's own output."""


class Refused(ValueError):
    """The archive is not read further; the message says which entry it is, or what is too much."""


@dataclass
class Contents:
    """compressed: by gzip. tops: names at the top. dotted: it has an entry for `.` itself.

    links_out: symbolic links that lead out of the tree, as `name -> target`. kept: contents of wanted files by path.
    """

    compressed: bool
    tops: set[str] = field(default_factory=set)
    dotted: bool = False
    links_out: list[str] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)

    def top_directory(self) -> str:
        """The one directory that holds everything in tarballs of code hosts, and is left out of a source."""
        return next(iter(self.tops)) if self.compressed and not self.dotted and len(self.tops) == 1 else ""


class _Bounded:
    """A reader that gives no header of more than 1 MB, since tarfile would hold all of it in memory."""

    def __init__(self, file: gzip.GzipFile | BinaryIO, most: int) -> None:
        self.file = file
        self.most = most

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER:
            raise Refused("it has a header of more than 1 MB")
        return self.file.read(size)

    def seek(self, to: int, whence: int = os.SEEK_SET) -> int:
        if to > self.most:
            raise Refused(f"it unpacks to more than {MAX_BYTES >> 30} GB, or to more than {RATIO} times its size")
        return self.file.seek(to, whence)

    def tell(self) -> int:
        return self.file.tell()


def compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def examine(path: Path, *, within: str = "", keep: str = "") -> Contents:
    """Look at every entry of a .tar or .tar.gz. Raises Refused.

    within: every entry has to lie in this directory of the archive (`app` for slugs).
    keep: name of a file, of at most 1 MB, whose content is wanted where it lies at the top or one level below.
    """
    packed = compressed(path)
    most = MAX_BYTES if not packed else min(MAX_BYTES, max(RATIO_FROM, RATIO * path.stat().st_size))
    found = Contents(packed)
    seen = _Seen()
    size = entries = 0
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            # Headers of 512 bytes and padding come on top of what the files hold.
            bounded: Any = _Bounded(file, most + (most >> 2) + (1 << 20))
            with tarfile.open(fileobj=bounded, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    parts = [part for part in member.name.split("/") if part not in ("", ".")]
                    if reason := seen.refusal(member, parts) or _outside(parts, within):
                        raise Refused(f"{member.name[:200]!r} {reason}")
                    if member.issym() and leads_out(parts[len([within] if within else []) :], member.linkname):
                        found.links_out.append(f"{'/'.join(parts)[:200]} -> {member.linkname[:200]}")
                    if keep and parts[-1:] == [keep] and len(parts) <= 2 and member.isreg():
                        found.kept["/".join(parts)] = _content(tar, member)
                    found.tops.update(parts[:1])
                    found.dotted |= not parts
                    entries += 1
                    size += member.size
                    if size > most or entries > MAX_ENTRIES:
                        raise Refused(_too_much(packed, most))
                    vars(tar)["members"] = []  # else it would keep them all
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError, OverflowError) as error:
        raise Refused(f"it is not a readable .tar or .tar.gz archive ({error})") from error
    if not found.tops:
        raise Refused("it is empty")
    return found


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _HEADER:
        raise Refused(f"{member.name[:200]!r} is larger than 1 MB")
    file = tar.extractfile(member)
    return file.read() if file else b""


def _too_much(packed: bool, most: int) -> str:
    if packed and most < MAX_BYTES:
        return f"it unpacks to more than {most >> 20} MB, {RATIO} times its size"
    return f"it unpacks to more than {MAX_BYTES >> 30} GB or {MAX_ENTRIES} files"


def _outside(parts: list[str], within: str) -> str:
    return f"is not below ./{within}/" if within and parts and parts[0] != within else ""


class _Seen:
    """Links of the archive so far."""

    def __init__(self) -> None:
        self.links: set[str] = set()

    def refusal(self, member: tarfile.TarInfo, parts: list[str]) -> str:
        """Why a member may not be in an archive; empty if it may."""
        if member.name.startswith("/") or ".." in parts:
            return "points outside the tree"
        if "\0" in member.name:
            return "has a NUL byte in its name"
        if member.isdev():
            return "is a device or a pipe"
        if self._behind_link(parts):
            return "lies behind a symbolic link"
        if member.islnk():
            target = [part for part in member.linkname.split("/") if part not in ("", ".")]
            if member.linkname.startswith("/") or ".." in target:
                return f"is a hard link to {member.linkname[:200]!r}, outside the tree"
            if self._behind_link(target):
                return "is a hard link to a file behind a symbolic link"
            if "/".join(target) in self.links:
                self.links.add("/".join(parts))
        elif member.issym():
            self.links.add("/".join(parts))
        elif not (member.isreg() or member.isdir()):
            return "is neither file, directory nor link"
        return ""

    def _behind_link(self, parts: list[str]) -> bool:
        return bool(self.links) and any("/".join(parts[:depth]) in self.links for depth in range(1, len(parts)))


def leads_out(parts: list[str], target: str) -> bool:
    """Whether a symbolic link at `parts` names a place that is neither in the tree nor the dyno's own."""
    if target.startswith("/"):
        place = normpath(target)
        return not any(place == allowed or place.startswith(f"{allowed}/") for allowed in _SYSTEM)
    return normpath("/".join([*parts[:-1], target])).split("/")[0] == ".."
