"""Which Ruby an app asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pack.steps import BuildFailed

from ruby_pack import requirements
from ruby_pack.lockfile import Lock

DEFAULT = "3.3.9"
"""Fetched where an app says nothing and the stack has no Ruby that can compile gems."""

_LITERAL = re.compile(r"""^\s*ruby[\s(]+((?:["'][^"']+["']\s*,?\s*)+)""", re.M)
_FILE = re.compile(r"""^\s*ruby[\s(]+(?:file:|:file\s*=>)\s*["']([^"']+)["']""", re.M)
_PLAIN = re.compile(r"(?:ruby-)?(\d+(?:\.\d+)+(?:[-.]?[a-z]\w*)?)")


@dataclass(frozen=True)
class Wanted:
    """requirements: as RubyGems writes them, may be none. origin: the file that says so.

    exact: the full version to fetch, if one is known. enforced: bundler itself refuses any other.
    """

    requirements: tuple[str, ...] = ()
    origin: str = ""
    exact: str = ""
    enforced: bool = False


def wanted(build_dir: Path, lock: Lock) -> Wanted:
    """By the Gemfile, then Gemfile.lock, .ruby-version, .tool-versions. Raises BuildFailed."""
    gemfile = (build_dir / "Gemfile").read_text(errors="replace")
    if lock.engine or re.search(r"^\s*ruby\b.*\bengine\b", gemfile, re.M):
        raise BuildFailed(
            f"The Gemfile asks for {lock.engine or 'another engine than MRI'}; this buildpack runs MRI only.\n"
            "JRuby is run by the official pack: pogo buildpacks:set https://github.com/heroku/heroku-buildpack-ruby"
        )
    if literal := _LITERAL.search(gemfile):
        asked = tuple(re.findall(r"""["']([^"']+)["']""", literal[1]))
        return Wanted(asked, "the Gemfile", lock.ruby or requirements.exact(asked), enforced=True)
    if file := _FILE.search(gemfile):
        found = _from_file(build_dir / file[1])
        return Wanted((found,), file[1], lock.ruby or requirements.exact([found]), enforced=True)
    if lock.ruby:
        return Wanted((lock.ruby,), "Gemfile.lock", lock.ruby, enforced=True)
    for name in (".ruby-version", ".tool-versions"):
        if (build_dir / name).is_file() and (found := _from_file(build_dir / name)):
            range_ = found if len(requirements.parse(found)) >= 3 else f"~> {found}.0"
            return Wanted((range_,), name, requirements.exact([found]))
    return Wanted()


def _from_file(path: Path) -> str:
    """The version that .ruby-version or .tool-versions names; empty where the latter is about other tools."""
    lines = [line.partition("#")[0].split() for line in (path.read_text() if path.is_file() else "").splitlines()]
    words = [line for line in lines if line]
    if path.name == ".tool-versions":
        words = [line[1:] for line in words if line[0] == "ruby" and len(line) > 1]
        if not words:
            return ""
    match = _PLAIN.fullmatch(words[0][0]) if words else None
    if not match:
        raise BuildFailed(f"{path.name} does not name a version of Ruby: write only the number there, like {DEFAULT}.")
    return match[1]


def fits(stack: str, asked: Wanted) -> bool:
    """Whether the stack's Ruby is what is asked for: it meets the requirement, and the lock is of its series."""
    same_series = not asked.exact or series(asked.exact) == series(stack)
    return requirements.satisfies(stack, asked.requirements) and same_series


def may_replace(stack: str, asked: Wanted) -> bool:
    """Whether the stack's Ruby would do where the wanted one cannot be had."""
    if asked.enforced:
        return requirements.satisfies(stack, asked.requirements)
    return not asked.exact or series(asked.exact) == series(stack)


def series(version: str) -> str:
    """`3.3.9` → `3.3`."""
    return ".".join(version.split(".")[:2])
