"""Bundler as a gem: the one gem that the official ruby pack installs by itself, for every app.

It is made of the Ruby archives that the mirror has compiled, so its versions are theirs. All other gems
are passed on: in a closed network they come from the app's `vendor/cache`.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import tarfile
from pathlib import Path

import httpx2

from pogo.mirror import CannotMake, Request, Served, Supplies
from pogo.mirror.runtimes.compiled import Ruby

_INFO = "/info/bundler"
_VERSIONS = "/versions"
_GEM = re.compile(r"/gems/bundler-(\d+\.\d+\.\d+)\.gem")
_SPEC = re.compile(r"/quick/Marshal\.4\.8/bundler-(\d+\.\d+\.\d+)\.gemspec\.rz")
_SPEC_IN_RUBY = re.compile(r"\./lib/ruby/gems/[\d.]+/specifications/default/bundler-(\d+\.\d+\.\d+)\.gemspec")
_NEEDS = re.compile(
    r"^required_(ruby|rubygems)_version: \S+\n\s+requirements:\n"
    r"\s+- - [\"']?([<>=~]+)[\"']?\n\s+- \S+\n\s+version: (\S+)$",
    re.MULTILINE,
)
SCRIPT = Path(__file__).with_name("recipes") / "bundler.sh"
PROBE_SECONDS = 5.0
_EPOCH = "2020-01-01T00:00:00Z"


class Bundler:
    """Answers for rubygems.org where it cannot be reached. Implements `Recipe`."""

    hosts = ("index.rubygems.org", "rubygems.org")
    tool = ""

    def __init__(self, supplies: Supplies, ruby: Ruby) -> None:
        self._supplies = supplies
        self._ruby = ruby

    async def answer(self, request: Request) -> Served | None:
        gem, spec = _GEM.fullmatch(request.path), _SPEC.fullmatch(request.path)
        if request.path not in (_INFO, _VERSIONS) and not gem and not spec:
            return None
        if await self._reachable(request.host):
            return None
        if gem:
            return Served(file=await self._file(gem[1], "gem"))
        if spec:
            return Served(file=await self._file(spec[1], "gemspec.rz"))
        text = "---\n" + "".join([await self._line(version) for version in await self._versions()])
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        if request.path == _VERSIONS:
            text = f"created_at: {_EPOCH}\n---\nbundler {','.join(await self._versions())} {digest}\n"
        return Served(body=text.encode(), content_type="text/plain", headers={"ETag": f'"{digest}"'})

    async def prefetch(self, version: str) -> list[Path]:
        return [await self._file(version, kind) for kind in ("gem", "gemspec.rz")]

    async def _reachable(self, host: str) -> bool:
        try:
            await self._supplies.http.head(f"https://{host}{_INFO}", timeout=PROBE_SECONDS)
        except httpx2.HTTPError:
            return False
        return True

    async def _versions(self) -> dict[str, Path]:
        """Version of bundler → a Ruby that has it, of those that are made."""
        found: dict[str, Path] = {}
        for archive in await self._ruby.made():
            if match := _SPEC_IN_RUBY.search(await asyncio.to_thread(_names, archive)):
                found.setdefault(match[1], archive)
        return found

    async def _file(self, version: str, kind: str) -> Path:
        async def make(to: Path) -> None:
            known = await self._versions()
            if version not in known:
                has = ", ".join(sorted(known)) or "none"
                raise CannotMake(f"bundler {version} cannot be made; those of the compiled Rubies can: {has}.")
            ruby = known[version]
            stack = next(name for name in self._supplies.stacks if f"-{name}-" in ruby.name)
            await self._supplies.workshop.run(
                stack, SCRIPT.read_text(), inputs={"ruby": ruby}, output=f"bundler.{kind}", to=to
            )

        return await self._supplies.artefacts.get(f"gems/bundler-{version}.{kind}", make)

    async def _line(self, version: str) -> str:
        """A line of the index of gems: version, digest, what it needs."""
        gem = await self._file(version, "gem")
        digest, metadata = await asyncio.to_thread(_examine, gem)
        needs = "".join(f",{name}:{operator} {wanted}" for name, operator, wanted in _NEEDS.findall(metadata))
        return f"{version} |checksum:{digest}{needs}\n"


def _names(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        return "\n".join(tar.getnames())


def _examine(gem: Path) -> tuple[str, str]:
    """(sha256, the specification as YAML)."""
    with gem.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with tarfile.open(gem) as tar:
        member = tar.extractfile("metadata.gz")
        if member is None:
            raise CannotMake(f"{gem.name} is no gem.")
        return digest, gzip.decompress(member.read()).decode()
