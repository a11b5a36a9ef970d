"""Python and Ruby, compiled once per version and stack from the authors' sources in Debian.

Debian has one or a few patch releases of each minor release. A request for another one gets the nearest,
later ones first; the answer's header `X-Pogo-Version` and the mirror's log tell which.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from pogo.mirror import CannotMake, Request, Served, Supplies
from pogo.mirror.runtimes.debian import DebianSources, SourceArchive, nearest, version_of
from pogo.mirror.runtimes.machine import debian_arch, stack_for

log = structlog.get_logger()
_RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Language:
    """name: of the directory of artefacts. package: of Debian's source, with {minor}. output: what the script makes.

    minors: the minor releases whose archives are looked for in the store.
    """

    name: str
    package: str
    script: str
    output: str
    minors: tuple[str, ...] = ()


PYTHON = Language("python", "python{minor}", "python.sh", "python.tar.zst")
RUBY = Language("ruby", "ruby{minor}", "ruby.sh", "ruby.tgz", ("2.7", "3.1", "3.2", "3.3", "3.4", "4.0"))


class _Compiled:
    """What both do."""

    language: Language

    def __init__(self, supplies: Supplies, debian: DebianSources) -> None:
        self._supplies = supplies
        self._debian = debian

    async def prefetch(self, version: str) -> list[Path]:
        if len(version.split(".")) < 2:
            raise CannotMake(f"Which version of {self.tool}? Name at least the minor release, as in 3.13.")
        wanted = version if version.count(".") == 2 else f"{version}.999"
        return [await self._archive(await self._choose(wanted), stack) for stack in self._supplies.stacks]

    @property
    def tool(self) -> str:
        return self.language.name

    async def _archives(self, wanted: str) -> list[SourceArchive]:
        minor = ".".join(wanted.split(".")[:2])
        return nearest(version_of(wanted), await self._debian.archives(self.language.package.format(minor=minor)))

    async def _choose(self, wanted: str) -> list[SourceArchive]:
        if found := await self._archives(wanted):
            return found
        raise CannotMake(f"Debian has no source of this minor release of {self.tool}: {wanted}.")

    async def _serve(self, wanted: str, heroku_stack: str, arch: str) -> Served:
        if arch != debian_arch():
            raise CannotMake(f"This machine makes {self.tool} for {debian_arch()}, not for {arch}.")
        file = await self._archive(await self._choose(wanted), stack_for(heroku_stack, self._supplies.stacks))
        made = file.name.split("-")[1]
        if made != wanted:
            log.warning("another patch release", tool=self.tool, wanted=wanted, given=made)
        return Served(file=file, headers={"X-Pogo-Version": made})

    def _key(self, archive: SourceArchive, stack: str) -> str:
        name, suffix = self.language.name, self.language.output.removeprefix(self.language.name)
        return f"{name}/{name}-{archive.text}-{stack}-{debian_arch()}{suffix}"

    async def made(self) -> list[Path]:
        """What is in store, for any stack."""
        keys = [
            self._key(archive, stack)
            for minor in self.language.minors
            for archive in await self._archives(f"{minor}.0")
            for stack in self._supplies.stacks
        ]
        return [file for file in map(self._supplies.artefacts.find, keys) if file]

    async def _archive(self, candidates: list[SourceArchive], stack: str) -> Path:
        """The first that is there or can be made: a mirror of Debian may list archives that it has not."""
        language = self.language
        reasons = []
        for archive in candidates:

            async def make(to: Path, archive: SourceArchive = archive) -> None:
                with tempfile.TemporaryDirectory(dir=self._supplies.scratch) as place:
                    source = Path(place, "source.tar")
                    await self._supplies.download(archive.url, source, sha256=archive.sha256)
                    script = (_RECIPES / language.script).read_text()
                    env = {"VERSION": archive.text}
                    await self._supplies.workshop.run(
                        stack, script, inputs={"source": source}, output=language.output, to=to, env=env
                    )

            try:
                return await self._supplies.artefacts.get(self._key(archive, stack), make)
            except CannotMake as error:
                reasons.append(f"{archive.text}: {error}")
        raise CannotMake(f"{language.name.title()} cannot be made. " + " ".join(reasons))


class Python(_Compiled):
    """Answers for the bucket of the official python pack. Implements `Recipe`."""

    language = PYTHON
    hosts = (
        "heroku-buildpack-python.s3.dualstack.us-east-1.amazonaws.com",
        "heroku-buildpack-python.s3.us-east-1.amazonaws.com",
        "heroku-buildpack-python.s3.amazonaws.com",
    )
    _path = re.compile(r"/python-(\d+\.\d+\.\d+)-ubuntu-(\d\d)\.04-(\w+)\.tar\.zst")

    async def answer(self, request: Request) -> Served | None:
        """Our own pack asks by HEAD which versions exist: those are told as they are, without a stand-in."""
        match = self._path.fullmatch(request.path)
        if match and request.method == "HEAD":
            known = await self._archives(match[1])
            return Served(status=200 if match[1] in [archive.text for archive in known] else 404)
        return await self._serve(match[1], f"heroku-{match[2]}", match[3]) if match else None


class Ruby(_Compiled):
    """Answers for the bucket of the official ruby pack. Implements `Recipe`."""

    language = RUBY
    hosts = (
        "heroku-buildpack-ruby.s3.dualstack.us-east-1.amazonaws.com",
        "heroku-buildpack-ruby.s3.us-east-1.amazonaws.com",
        "heroku-buildpack-ruby.s3.amazonaws.com",
    )
    _path = re.compile(r"/(heroku-\d\d)/(?:(amd64|arm64)/)?ruby-(\d+\.\d+\.\d+)\.tgz")

    async def answer(self, request: Request) -> Served | None:
        """The pack asks by HEAD which later versions exist: those are told as they are, without a stand-in."""
        match = self._path.fullmatch(request.path)
        if not match:
            return None
        if request.method == "HEAD":
            known = await self._archives(match[3])
            return Served(status=200 if match[3] in [archive.text for archive in known] else 404)
        return await self._serve(match[3], match[1], match[2] or debian_arch())
