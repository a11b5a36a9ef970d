"""What requirements.txt says about itself: which names it asks for, and what decides about the result."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]?(.+)")
_CONSTRAINT = re.compile(r"(?:-c|--constraint)\b")
_LOCAL = re.compile(r"-e\b|--editable\b|\.{0,2}/|\.$|\.\[|file:|.*@\s*file:|[\w.-]+/(?!/)")
_REPOSITORY = re.compile(r"\b(?:git|hg|svn|bzr)\+")
_NAME = re.compile(r"([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@(,\s].*)?")
_DEPENDS = re.compile(r"^Requires-Dist:\s*([A-Za-z0-9][\w.-]*)", re.M)


@dataclass(frozen=True)
class Requirements:
    """names: packages asked for, normalised. unnamed: lines whose package only pip can tell (paths, URLs).

    digest: of all files that decide. fixed: whether those files alone decide, no file of the app or branch of a
    repository. adjustable: whether an earlier environment may be brought up to date, instead of a new one.
    """

    names: frozenset[str]
    unnamed: tuple[str, ...]
    digest: str
    fixed: bool
    adjustable: bool


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read(build_dir: Path, first: str = "requirements.txt") -> Requirements:
    """Read requirements.txt and all that it includes."""
    digest = hashlib.sha256()
    names: set[str] = set()
    unnamed: list[str] = []
    fixed = adjustable = True
    waiting: list[tuple[Path, bool]] = [(build_dir / first, True)]
    seen = set()
    while waiting:
        path, asks = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.is_file():
            fixed = adjustable = False
            continue
        text = path.read_text(errors="replace")
        digest.update(f"{path.relative_to(build_dir)}\0{text}\0".encode())
        for line in _lines(text):
            if included := _INCLUDE.fullmatch(line):
                target = (path.parent / included[1].strip()).resolve()
                if "://" in included[1] or not target.is_relative_to(build_dir):
                    fixed = adjustable = False
                else:
                    waiting.append((target, asks and not _CONSTRAINT.match(line)))
                continue
            fixed &= not (_LOCAL.match(line) or _REPOSITORY.search(line))
            adjustable &= not ("--hash" in line or "--require-hashes" in line or ".whl" in line)
            if asks and not re.match(r"-(?!e\b|-editable\b)", line):
                name = None if _LOCAL.match(line) else _NAME.fullmatch(line)
                names.update([normal(name[1])] if name else [])
                unnamed.extend([] if name else [line])
    return Requirements(frozenset(names), tuple(sorted(unnamed)), digest.hexdigest(), fixed, adjustable)


def _lines(text: str) -> Iterable[str]:
    """Lines without comments, with continuations joined."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if bare:
            yield bare


def depends_on(metadata: str) -> set[str]:
    """Names in a METADATA file that the package may need, whatever their conditions are."""
    return {normal(name) for name in _DEPENDS.findall(metadata)}


def unneeded(roots: Iterable[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Installed packages that nothing asks for any more. needs: each installed package → names it may need."""
    waiting = [name for name in roots if name in needs]
    kept: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept.add(name)
            waiting.extend(other for other in needs[name] if other in needs)
    return sorted(set(needs) - kept)
