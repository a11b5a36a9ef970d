"""npm's version ranges: `^20.1`, `>=18 <21`, `18 || 20`, `22.x`, `1.2 - 2`, `*`. Pre-releases never match."""

from __future__ import annotations

import re
from collections.abc import Iterable

Version = tuple[int, int, int]
_NEVER: Version = (1 << 30, 0, 0)
_PARTIAL = r"v?=?\s*(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_COMPARATOR = re.compile(rf"(\^|~>?|>=|<=|>|<|=)?\s*{_PARTIAL}")
_HYPHEN = re.compile(rf"\s*({_PARTIAL})\s+-\s+({_PARTIAL})\s*")


class InvalidRange(ValueError):
    """Not a version range."""


def parse_version(text: str) -> Version | None:
    """`20.11.1` as numbers; None for anything else, pre-releases among it."""
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _parts(groups: tuple[str | None, ...]) -> list[int]:
    """The given numbers of a partial version, up to the first wildcard."""
    numbers = []
    for group in groups:
        if group is None or group in "xX*":
            break
        numbers.append(int(group))
    return numbers


def _low(parts: list[int]) -> Version:
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return (major, minor, patch)


def _after(parts: list[int], depth: int) -> Version:
    """The first version above all that begin with the first `depth` numbers of `parts`."""
    if depth == 0:
        return _NEVER
    raised = [*parts[: depth - 1], parts[depth - 1] + 1]
    return _low(raised)


def _bounds(operator: str, parts: list[int]) -> tuple[Version, Version]:
    """[lowest, first too high) of one comparator."""
    everything = _after(parts, len(parts))
    match operator:
        case ">=":
            return _low(parts), _NEVER
        case ">":
            return everything, _NEVER
        case "<":
            return (0, 0, 0), _low(parts)
        case "<=":
            return (0, 0, 0), everything
        case "~" | "~>":
            return _low(parts), _after(parts, min(len(parts), 2))
        case "^":
            leading = next((index for index, number in enumerate(parts) if number), len(parts) - 1)
            return _low(parts), _after(parts, leading + 1 if parts else 0)
    return _low(parts), everything


def _alternative(text: str) -> tuple[Version, Version]:
    if match := _HYPHEN.fullmatch(text):
        return _low(_parts(match.groups()[1:4])), _bounds("<=", _parts(match.groups()[5:8]))[1]
    low, high = (0, 0, 0), _NEVER
    at = 0
    text = text.strip()
    while at < len(text):
        comparator = _COMPARATOR.match(text, at)
        if not comparator or (comparator.end() < len(text) and text[comparator.end()] not in " \t,<>=^~"):
            raise InvalidRange(text)
        lower, upper = _bounds(comparator[1] or "", _parts(comparator.groups()[1:4]))
        low, high = max(low, lower), min(high, upper)
        at = comparator.end()
        while at < len(text) and text[at] in " \t,":
            at += 1
    return low, high


def satisfies(version: Version, wanted: str) -> bool:
    """Whether a version lies in a range. Raises InvalidRange."""
    return any(low <= version < high for low, high in map(_alternative, wanted.split("||")))


def newest(versions: Iterable[str], wanted: str) -> str | None:
    """The highest release among `versions` that lies in a range; None if none does. Raises InvalidRange."""
    alternatives = [_alternative(part) for part in wanted.split("||")]
    parsed = ((number, text) for text in versions if (number := parse_version(text)))
    return max(
        (found for found in parsed if any(low <= found[0] < high for low, high in alternatives)), default=(None, None)
    )[1]
