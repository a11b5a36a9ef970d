"""Upstream source archives, as Debian keeps them beside its packages.

Debian publishes the unchanged archive of a program's authors (`<package>_<version>.orig.tar.*`) and
signs its digest. apt checks the signatures here, in directories of its own; from the machine's apt
configuration comes the address of the mirror alone, so that every release can be asked for.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pogo.errors import CommandFailed
from pogo.mirror import CannotMake, Supplies
from pogo.process import run
from pogo.stack.aptsources import NoMirror, find_mirror, read_sources

RELEASES = ("oldoldstable", "oldstable", "oldstable-backports", "stable", "stable-backports", "testing", "unstable")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FRESH = 12 * 3600.0
"""Seconds after which the lists of packages are fetched again."""

Version = tuple[int, ...]


@dataclass(frozen=True)
class SourceArchive:
    """version: of the program, without Debian's revision. url: of its archive. sha256: in hex, signed by Debian."""

    version: Version
    url: str
    sha256: str

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version))


def version_of(text: str) -> Version:
    """`3.13.5` → (3, 13, 5). Raises ValueError for anything but numbers and dots."""
    return tuple(int(part) for part in text.split("."))


def nearest(wanted: Version, known: Iterable[SourceArchive]) -> list[SourceArchive]:
    """Archives by how well they stand in for a version: itself, then later patch releases of the same
    minor release, nearest first, then earlier ones, nearest first. Other minor releases never do."""
    same = [archive for archive in known if archive.version[:2] == wanted[:2]]
    later = sorted((archive for archive in same if archive.version >= wanted), key=lambda archive: archive.version)
    earlier = sorted((a for a in same if a.version < wanted), key=lambda archive: archive.version, reverse=True)
    return [*later, *earlier]


def parse_sources(text: str, mirror: str) -> Iterator[SourceArchive]:
    """The archives in what `apt-cache showsrc` prints; versions that are not numbers alone are passed over."""
    for stanza in re.split(r"\n\s*\n", text):
        directory = re.search(r"^Directory: (\S+)$", stanza, re.MULTILINE)
        for match in re.finditer(r"^ ([0-9a-f]{64}) \d+ ([^\s/]+_([0-9.]+)\.orig\.tar\.\w+)$", stanza, re.MULTILINE):
            if directory:
                yield SourceArchive(version_of(match[3]), f"{mirror}/{directory[1]}/{match[2]}", match[1])


class DebianSources:
    """Source packages of all of Debian's releases. `supplies.scratch`/apt holds apt's lists."""

    def __init__(self, supplies: Supplies) -> None:
        self._supplies = supplies
        self._directory = supplies.scratch / "apt"
        self._lock = asyncio.Lock()
        self._fetched = float("-inf")

    async def archives(self, package: str) -> list[SourceArchive]:
        """Every version of a source package that Debian lists, newest first. Raises CannotMake."""
        async with self._lock:
            if time.monotonic() - self._fetched > FRESH:
                await asyncio.to_thread(self._update)
                self._fetched = time.monotonic()
        found = set(await asyncio.to_thread(self._show, package))
        return sorted(found, key=lambda archive: (archive.version, archive.url), reverse=True)

    async def fetch_first(self, archives: Iterable[SourceArchive], to: Path) -> SourceArchive:
        """Download the first of `archives` that the mirror really has. Raises CannotMake, with each reason."""
        reasons = []
        for archive in archives:
            try:
                await self._supplies.download(archive.url, to, sha256=archive.sha256)
            except CannotMake as error:
                reasons.append(str(error))
            else:
                return archive
        raise CannotMake("No source archive can be had. " + " ".join(reasons))

    def _mirror(self) -> str:
        for release in ("bookworm", "trixie", "bullseye"):
            try:
                return find_mirror(read_sources(), release).main
            except NoMirror:
                continue
        raise CannotMake("This machine's apt sources name no mirror of Debian: no runtime can be made from it.")

    def _update(self) -> None:
        for name in ("state/lists/partial", "cache"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        lines = [f"deb-src [signed-by={KEYRING}] {self._mirror()} {release} main\n" for release in RELEASES]
        (self._directory / "sources.list").write_text("".join(lines))
        try:
            self._apt("apt-get", "-qq", "update", timeout=300)
        except CommandFailed as error:
            raise CannotMake(f"Debian's lists of source packages cannot be had: {error}") from error

    def _show(self, package: str) -> list[SourceArchive]:
        try:
            shown = self._apt("apt-cache", "showsrc", "--only-source", package, timeout=60)
        except CommandFailed:  # apt's way to say that there is none
            return []
        return list(parse_sources(shown, self._mirror()))

    def _apt(self, program: str, *arguments: str, timeout: float) -> str:
        place = self._directory
        options = {
            "Dir::State": place / "state",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": place / "cache",
            "Dir::Etc::SourceList": place / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        given = [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]
        return run(program, *given, *arguments, timeout=timeout)
