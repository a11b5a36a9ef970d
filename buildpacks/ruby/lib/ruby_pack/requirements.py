"""Versions and requirements as RubyGems compares them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pack.steps import BuildFailed

_REQUIREMENT = re.compile(r"(=|!=|>|<|>=|<=|~>)?\s*(\d+(?:\.\w+)*(?:-\w+)?)")
Version = tuple[int | str, ...]


def parse(text: str) -> Version:
    """`3.4.0-rc1` → (3, 4, 0, 'rc', 1): a word comes before every number."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"\d+|[a-z]+", text.lower()))


def compare(one: Version, other: Version) -> int:
    """-1, 0 or 1; missing parts count as 0."""
    length = max(len(one), len(other))
    left, right = _key(one, length), _key(other, length)
    return (left > right) - (left < right)


def _key(version: Version, length: int) -> list[tuple[bool, int, str]]:
    parts = [*version, *[0] * (length - len(version))]
    return [(True, part, "") if isinstance(part, int) else (False, 0, part) for part in parts]


def satisfies(version: str, requirements: Iterable[str]) -> bool:
    """Whether a version meets all of `>= 3.1`, `~> 3.3.0`, `3.3.9` … Raises BuildFailed for what is none."""
    return all(_one(parse(version), requirement) for requirement in requirements)


def exact(requirements: Iterable[str]) -> str:
    """The one version with all its parts that requirements name; else an empty string."""
    found = [match for text in requirements if (match := _REQUIREMENT.fullmatch(text.strip()))]
    if len(found) == 1 and found[0][1] in (None, "=") and len(parse(found[0][2])) >= 3:
        return str(found[0][2])
    return ""


def _one(version: Version, requirement: str) -> bool:
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if not match:
        raise BuildFailed(
            f"{requirement!r} is not a version of Ruby. Write it like 'ruby \"3.3.9\"' or 'ruby \"~> 3.3\"'."
        )
    wanted = parse(match[2])
    order = compare(version, wanted)
    match match[1]:
        case "!=":
            return order != 0
        case ">":
            return order > 0
        case "<":
            return order < 0
        case ">=":
            return order >= 0
        case "<=":
            return order <= 0
        case "~>":
            kept = len(wanted) - 1 or 1
            return order >= 0 and version[:kept] == wanted[:kept]
        case _:
            return order == 0
