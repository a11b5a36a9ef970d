"""Composer's version constraints, as far as `require.php` goes: https://getcomposer.org/doc/articles/versions.md"""

from __future__ import annotations

import re

Version = tuple[int, ...]
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
_ONE = re.compile(r"(\^|~|>=|<=|!=|<>|==|=|>|<)?\s*v?(\d+(?:\.(?:\d+|\*|x))*|\*)(?:[-+@][\w.+-]*)?", re.IGNORECASE)


class InvalidConstraint(ValueError):
    """The text is no version constraint."""


def allows(constraint: str, version: str) -> bool:
    """Whether a version such as `8.4.28` fulfils a constraint such as `^8.1 || ~7.4.3`. Raises InvalidConstraint."""
    have = _pad([int(part) for part in version.split(".")])
    return any(_all(part.strip(), have) for part in re.split(r"\|\|?", constraint))


def _all(text: str, have: Version) -> bool:
    if hyphen := _HYPHEN.fullmatch(text):
        return _one(">=", hyphen[1], have) and _up_to(hyphen[2], have)
    parts = [found for found in re.split(r",|(?<=[\w*])\s+", text) if found.strip()]
    if not parts:
        raise InvalidConstraint(text)
    results = []
    for part in parts:
        match = _ONE.fullmatch(part.strip())
        if not match:
            raise InvalidConstraint(part.strip())
        results.append(_one(match[1] or "", match[2], have))
    return all(results)


def _numbers(text: str) -> list[int]:
    """The numbers before the first `*`."""
    found = []
    for part in text.split("."):
        if not part.isdigit():
            break
        found.append(int(part))
    return found


def _pad(numbers: list[int]) -> Version:
    return tuple([*numbers, 0, 0, 0][:3])


def _next(numbers: list[int], kept: int) -> Version:
    """The first version above all that begin with the first `kept` numbers."""
    return _pad([*numbers[: kept - 1], numbers[kept - 1] + 1])


def _up_to(text: str, have: Version) -> bool:
    numbers = _numbers(text)
    return have <= _pad(numbers) if len(numbers) > 2 else have < _next(numbers, len(numbers))


def _one(operator: str, text: str, have: Version) -> bool:
    numbers = _numbers(text)
    if not numbers:
        return True
    low = _pad(numbers)
    if operator == "^":
        kept = next((place for place, number in enumerate(numbers, 1) if number), len(numbers))
        return low <= have < _next(numbers, kept)
    if operator == "~":
        return low <= have < _next(numbers, max(len(numbers) - 1, 1))
    if operator in ("", "=", "=="):
        wild = "*" in text or "x" in text.lower()
        return low <= have < _next(numbers, len(numbers)) if wild else have == low
    comparisons = {
        ">": have > low,
        ">=": have >= low,
        "<": have < low,
        "<=": have <= low,
    }
    return comparisons.get(operator, have != low)
