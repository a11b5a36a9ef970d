"""Version ranges as package.json writes them: `22.x`, `^20.1`, `>=18 <21`, `18 || 20`, `16.1 - 18`."""

from __future__ import annotations

import re

Version = tuple[int, int, int]
_COMPARATOR = re.compile(r"(>=|<=|>|<|=|\^|~>?|)\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.+-]+)?")
_TOP = 1 << 30


class InvalidRange(ValueError):
    """The text is no range of versions."""


def parse(text: str) -> Version | None:
    """`22.11.0` → (22, 11, 0); None for a pre-release or anything else."""
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def satisfies(version: Version, range: str) -> bool:
    """Whether a version is in a range; an empty range and `*` hold all. Raises InvalidRange."""
    return any(all(low <= version < high for low, high in spans) for spans in _alternatives(range))


def _alternatives(range: str) -> list[list[tuple[Version, Version]]]:
    return [_spans(part.strip()) for part in range.split("||")]


def _spans(text: str) -> list[tuple[Version, Version]]:
    """The half-open intervals whose common part is meant."""
    if between := re.fullmatch(r"(\S+)\s+-\s+(\S+)", text):
        return [_one(f">={between[1]}"), _one(f"<={between[2]}")]
    spans = []
    position = 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if not match or not match[0]:
            raise InvalidRange(f"{text!r} is no range of versions")
        spans.append(_one(match[0]))
        position = match.end()
        while position < len(text) and text[position] in " ,":
            position += 1
    return spans


def _one(text: str) -> tuple[Version, Version]:
    match = _COMPARATOR.fullmatch(text)
    if not match:
        raise InvalidRange(f"{text!r} is no version")
    operator, *given = match.groups()
    parts = [int(part) for part in _before_wildcard(given)]
    low = _fill(parts)
    after = _next(parts)  # the first version behind all that the text names: 22.x → 23.0.0
    end = (_TOP, 0, 0)
    match operator:
        case ">=":
            return low, end
        case ">":
            return after, end
        case "<":
            return (0, 0, 0), low
        case "<=":
            return (0, 0, 0), after
        case "^":
            leading = next((index for index, part in enumerate(parts) if part), len(parts) - 1)
            return low, _next(parts[: leading + 1])
        case "~" | "~>":
            return low, _next(parts[:2])
    return low, after


def _before_wildcard(given: list[str | None]) -> list[str]:
    kept: list[str] = []
    for part in given:
        if part is None or not part.isdigit():
            break
        kept.append(part)
    return kept


def _fill(parts: list[int]) -> Version:
    major, minor, patch = [*parts, 0, 0, 0][:3]
    return major, minor, patch


def _next(parts: list[int]) -> Version:
    return _fill([*parts[:-1], parts[-1] + 1]) if parts else (_TOP, 0, 0)
