"""Node.js, any version: the program and its headers from the npm registry's packages of it, with npm.

Node's own archives cannot be made again byte for byte, so a client that knows their digests refuses
these. The official pack takes `NODE_BINARY_URL` without one; docs/official-packs.md has the line that
an operator sets, with an address that carries the app's own range of versions.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import structlog

from pogo.mirror import CannotMake, Request, Served, Supplies
from pogo.mirror.runtimes import semver
from pogo.mirror.runtimes.machine import node_arch
from pogo.mirror.runtimes.semver import Version

log = structlog.get_logger()

HOST = "nodejs.org"
_ARCHIVE = re.compile(
    r"/(?:dist|download/release)/v(\d+\.\d+\.\d+)/node-v\1-(linux-(?:x64|arm64)\.tar\.gz|headers\.tar\.gz)"
)
_SUMS = re.compile(r"/(?:dist|download/release)/v(\d+\.\d+\.\d+)/SHASUMS256\.txt")
_RANGE = re.compile(r"/download/for/(.*)/node-linux-(x64|arm64)\.tar\.gz", re.DOTALL)
_LTS_AGE_MONTHS = 6
_NPM_OF = {12: 6, 13: 6, 14: 6, 15: 7, 16: 8, 17: 8, 18: 10, 19: 9, 20: 10, 21: 10, 22: 10, 23: 10, 24: 11, 25: 11}
"""The major release of npm that each of Node.js came with; later ones get the newest that runs on them."""


class Node:
    """Answers for nodejs.org. Implements `Recipe`."""

    hosts = (HOST,)
    tool = "node"

    def __init__(self, supplies: Supplies) -> None:
        self._supplies = supplies

    async def answer(self, request: Request) -> Served | None:
        if match := _RANGE.fullmatch(request.path):
            version = await self._resolve(match[1], match[2])
            return Served(
                location=f"https://{HOST}/download/release/v{version}/node-v{version}-linux-{match[2]}.tar.gz"
            )
        if match := _ARCHIVE.fullmatch(request.path):
            version, kind = match[1], match[2].removesuffix(".tar.gz")
            if kind == "headers":
                return Served(file=await self._headers(version), content_type="application/gzip")
            return Served(
                file=await self._program(version, kind.removeprefix("linux-")), content_type="application/gzip"
            )
        if match := _SUMS.fullmatch(request.path):
            headers = await self._headers(match[1])
            digest = await asyncio.to_thread(_sha256, headers)
            return Served(body=f"{digest}  node-v{match[1]}-headers.tar.gz\n".encode(), content_type="text/plain")
        return None

    async def prefetch(self, version: str) -> list[Path]:
        arch = node_arch()
        return [await self._program(await self._resolve(version, arch), arch)]

    async def _program(self, version: str, arch: str) -> Path:
        async def make(to: Path) -> None:
            package = await self._package(f"node-linux-{arch}", version)
            npm = await self._npm_for(version)
            with tempfile.TemporaryDirectory(dir=self._supplies.scratch) as place:
                node_tgz, npm_tgz = Path(place, "node.tgz"), Path(place, "npm.tgz")
                await self._fetch(package, node_tgz)
                await self._fetch(npm, npm_tgz)
                await asyncio.to_thread(repack, node_tgz, npm_tgz, f"node-v{version}-linux-{arch}", to)

        return await self._supplies.artefacts.get(f"node/node-v{version}-linux-{arch}.tar.gz", make)

    async def _headers(self, version: str) -> Path:
        """What node-gyp compiles against: `include/` of the same package."""

        async def make(to: Path) -> None:
            program = await self._program(version, node_arch())
            await asyncio.to_thread(_keep_headers, program, f"node-v{version}", to)

        return await self._supplies.artefacts.get(f"node/node-v{version}-headers.tar.gz", make)

    async def _resolve(self, wanted: str, arch: str) -> str:
        """The version for a range of package.json; without an upper end that of the current LTS release."""
        document = await self._document(f"node-linux-{arch}", full=True)
        try:
            chosen = choose(wanted, document)
        except semver.InvalidRange as error:
            raise CannotMake(f"engines.node in package.json: {error}.") from error
        if chosen is None:
            raise CannotMake(f"No version of Node.js in the npm registry is in the range {wanted!r}.")
        version = ".".join(map(str, chosen))
        log.info("node version", wanted=wanted, chosen=version)
        return version

    async def _npm_for(self, version: str) -> Mapping[str, Any]:
        document = await self._document("npm")
        node = semver.parse(version)
        if node is None:
            raise CannotMake(f"{version} is no version of Node.js.")
        fitting = []
        for text, package in document["versions"].items():
            npm = semver.parse(text)
            if npm and (node[0] not in _NPM_OF or npm[0] == _NPM_OF[node[0]]) and _runs_on(package, node):
                fitting.append((npm, package))
        if not fitting:
            raise CannotMake(f"The npm registry has no npm that runs on Node.js {version}.")
        chosen: Mapping[str, Any] = max(fitting, key=lambda pair: pair[0])[1]
        return chosen

    async def _package(self, name: str, version: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] | None = (await self._document(name))["versions"].get(version)
        if found is None:
            raise CannotMake(f"The npm registry has no {name} {version}.")
        return found

    async def _document(self, name: str, full: bool = False) -> Mapping[str, Any]:
        """What the registry knows of a package; the short form has no dates."""
        registry = self._supplies.environment.get("NPM_CONFIG_REGISTRY", "").rstrip("/")
        if not registry:
            raise CannotMake("NPM_CONFIG_REGISTRY is not set in build.env: Node.js is made from that registry.")
        accept = "application/json" if full else "application/vnd.npm.install-v1+json"
        try:
            answer = await self._supplies.http.get(f"{registry}/{name}", headers={"Accept": accept})
        except httpx2.HTTPError as error:
            raise CannotMake(f"{registry}/{name} cannot be had: {error or type(error).__name__}.") from error
        if answer.status_code != 200:
            raise CannotMake(f"{registry}/{name} answered with status {answer.status_code}.")
        document: Mapping[str, Any] = answer.json()
        return document

    async def _fetch(self, package: Mapping[str, Any], to: Path) -> None:
        digests = {name: base64.b64decode(text).hex() for name, text in _integrity(package)}
        if "sha512" not in digests:
            raise CannotMake(f"The npm registry gives no sha512 of {package['name']} {package['version']}.")
        await self._supplies.download(package["dist"]["tarball"], to, sha512=digests["sha512"])


def choose(wanted: str, document: Mapping[str, Any]) -> Version | None:
    """The newest version in a range; of a range that goes beyond the current LTS release, the newest up to it.

    Heroku: a range without an upper end gets the active LTS release. That is the last even one that is
    six months old. document: the registry's, with the dates of the versions in `time`.
    """
    text = wanted.strip()
    lts = _lts_major(document)
    if text in ("", "latest", "lts", "lts/*", "node"):
        text = f"{lts}.x"
    fitting = [v for name in document["versions"] if (v := semver.parse(name)) and semver.satisfies(v, text)]
    modest = [version for version in fitting if version[0] <= lts]
    return max(modest or fitting, default=None)


def _lts_major(document: Mapping[str, Any]) -> int:
    first: dict[int, str] = {}
    for name, date in document["time"].items():
        version = semver.parse(name)
        if version and version[0] % 2 == 0:
            first[version[0]] = min(date, first.get(version[0], date))
    newest = max(document["time"].values())
    year, month = int(newest[:4]), int(newest[5:7]) - _LTS_AGE_MONTHS
    limit = f"{year - 1}-{month + 12:02}" if month < 1 else f"{year}-{month:02}"
    return max(major for major, date in first.items() if date[:7] <= limit)


def _runs_on(package: Mapping[str, Any], node: Version) -> bool:
    engines = package.get("engines")
    wanted = engines.get("node", "*") if isinstance(engines, dict) else "*"
    try:
        return semver.satisfies(node, wanted)
    except semver.InvalidRange:
        return False


def _integrity(package: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = str(package["dist"].get("integrity", "")).split()
    return [(name, text) for name, _, text in (part.partition("-") for part in parts)]


def repack(node: Path, npm: Path, root: str, to: Path) -> None:
    """Two packages of the npm registry → one archive laid out as Node's own."""
    with gzip.open(to, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w|") as out:
        with tarfile.open(node, "r|gz") as source:
            for member in source:
                name = member.name.partition("/")[2]
                if name not in ("", "package.json"):
                    _copy(source, member, f"{root}/{name}", out)
        with tarfile.open(npm, "r|gz") as source:
            for member in source:
                _copy(source, member, f"{root}/lib/node_modules/npm/{member.name.partition('/')[2]}", out)
        for name in ("npm", "npx"):
            link = tarfile.TarInfo(f"{root}/bin/{name}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, f"../lib/node_modules/npm/bin/{name}-cli.js", 0o777
            out.addfile(link)


def _copy(source: tarfile.TarFile, member: tarfile.TarInfo, name: str, out: tarfile.TarFile) -> None:
    if ".." in Path(name).parts or not (member.isfile() or member.isdir()):
        raise CannotMake(f"The package holds {member.name!r}, which is refused.")
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = member.size, member.type
    entry.mode = 0o755 if member.mode & 0o111 or member.isdir() or "/bin/" in name else 0o644
    entry.mtime = 1_600_000_000
    out.addfile(entry, source.extractfile(member) if member.isfile() else None)


def _keep_headers(program: Path, root: str, to: Path) -> None:
    with tarfile.open(program, "r:gz") as source, tarfile.open(to, "w:gz") as out:
        for member in source:
            name = member.name.partition("/")[2]
            if name.startswith("include/"):
                member.name = f"{root}/{name}"
                out.addfile(member, source.extractfile(member) if member.isfile() else None)


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
