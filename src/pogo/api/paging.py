"""Lists in pages, by Heroku's `Range` header: `<field> [ ]]<start>..<end>; max=<n>, order=desc`, every part optional.

A page that is not the last one comes with `Next-Range`, which is the Range header of the next request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pogo.errors import RangeNotSatisfiable

T = TypeVar("T")
Key = str | int

DEFAULT_MAX = 200
LARGEST_MAX = 1000

_HEADER = re.compile(
    r"\s*(?P<field>[a-z_]+)?\s*(?:(?P<exclusive>\]?)(?P<start>[^;]*?)\.\.(?P<end>[^;]*))?\s*(?:;(?P<options>.*))?"
)
_OPTION = re.compile(r"\s*(?:(?P<name>max|order)\s*=\s*(?P<value>\w+))?\s*")


@dataclass(frozen=True)
class Wanted:
    """start, end: as written, empty for none. exclusive: the start itself is left out."""

    field: str
    start: str = ""
    end: str = ""
    exclusive: bool = False
    max: int = DEFAULT_MAX
    descending: bool = False


@dataclass(frozen=True)
class Page(Generic[T]):
    """headers: what tells a client about the page. partial: not the whole list (status 206)."""

    items: list[T]
    headers: dict[str, str]
    partial: bool


def parse(header: str | None, fields: Sequence[str]) -> Wanted:
    """What a Range header asks for; `fields` may be ordered by, the first one is the default.

    Raises RangeNotSatisfiable for what is no such header, an unknown field, order or max.
    A max above 1000 means 1000.
    """
    match = _HEADER.fullmatch(header or "")
    if not match:
        raise RangeNotSatisfiable(f"Cannot understand the Range {header!r}. Write: {fields[0]} ..; max=10, order=desc")
    field = match["field"] or fields[0]
    if field not in fields:
        raise RangeNotSatisfiable(f"Cannot order by {field!r}. This list can be ordered by: {', '.join(fields)}.")
    options = _options(match["options"] or "")
    return Wanted(
        field,
        start=(match["start"] or "").strip(),
        end=(match["end"] or "").strip(),
        exclusive=bool(match["exclusive"]),
        max=_max(options.get("max")),
        descending=_descending(options.get("order")),
    )


def _options(text: str) -> dict[str, str]:
    found = {}
    for part in re.split("[;,]", text):
        match = _OPTION.fullmatch(part)
        if not match:
            raise RangeNotSatisfiable(f"Cannot understand {part.strip()!r} in the Range. It takes max and order.")
        if match["name"]:
            found[match["name"]] = match["value"]
    return found


def _max(text: str | None) -> int:
    if text is None:
        return DEFAULT_MAX
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) == 0:
        raise RangeNotSatisfiable(f"max={text} is not valid: a number from 1 to {LARGEST_MAX}.")
    return min(int(text), LARGEST_MAX)


def _descending(text: str | None) -> bool:
    if text not in (None, "asc", "desc"):
        raise RangeNotSatisfiable(f"order={text} is not valid: asc or desc.")
    return text == "desc"


def page(rows: Sequence[T], wanted: Wanted, fields: Sequence[str], key: Callable[[T], Key]) -> Page[T]:
    """The wanted part of `rows`, ordered by `key`, which gives the value of `wanted.field` and is unique."""
    ordered = sorted(rows, key=key, reverse=wanted.descending)
    if ordered and (wanted.start or wanted.end):
        ordered = _between(ordered, wanted, key)
    items = ordered[: wanted.max]
    headers = {"Accept-Ranges": ", ".join(fields)}
    if items:
        first, last = key(items[0]), key(items[-1])
        headers |= bounds(wanted, first, last, more=len(ordered) > len(items))
    return Page(items, headers, partial=len(items) < len(rows))


def bounds(wanted: Wanted, first: Key, last: Key, *, more: bool) -> dict[str, str]:
    """Headers of a page that is not empty: its first and last key, and how to ask for the next one."""
    headers = {"Content-Range": f"{wanted.field} {first}..{last}"}
    if more:
        order = ", order=desc" if wanted.descending else ""
        headers["Next-Range"] = f"{wanted.field} ]{last}..{wanted.end}; max={wanted.max}{order}"
    return headers


def in_order(shown: Sequence[dict[str, Any]], header: str | None, by: str = "id") -> Page[dict[str, Any]]:
    """A page of a list that keeps its order. Only the field `by` pages it: asked for by another one, it is whole.

    Older clients order every list by a field of their own choice, so that is no mistake.
    """
    field = _HEADER.fullmatch(header or "")
    ids = [str(one.get(by)) for one in shown]
    if not field or field["field"] not in (None, by) or "None" in ids:
        return Page(list(shown), {"Accept-Ranges": by}, partial=False)
    wanted = parse(header, [by])
    pairs = list(zip(ids, shown, strict=True))
    ordered = pairs[::-1] if wanted.descending else pairs
    if wanted.start:
        places = [place for place, (id, _) in enumerate(ordered) if id == wanted.start]
        ordered = ordered[places[0] + wanted.exclusive :] if places else []
    chosen = ordered[: wanted.max]
    headers = {"Accept-Ranges": by}
    if chosen:
        headers["Content-Range"] = f"{by} {chosen[0][0]}..{chosen[-1][0]}"
    if len(ordered) > len(chosen):
        order = ", order=desc" if wanted.descending else ""
        headers["Next-Range"] = f"{by} ]{chosen[-1][0]}..; max={wanted.max}{order}"
    return Page([one for _, one in chosen], headers, partial=len(chosen) < len(shown))


def _between(ordered: list[T], wanted: Wanted, key: Callable[[T], Key]) -> list[T]:
    numeric = isinstance(key(ordered[0]), int)
    start, end = (_typed(text, numeric) if text else None for text in (wanted.start, wanted.end))
    sign = -1 if wanted.descending else 1

    def inside(row: T) -> bool:
        value = key(row)
        after = start is None or _compare(value, start) * sign > (0 if wanted.exclusive else -1)
        return after and (end is None or _compare(value, end) * sign <= 0)

    return [row for row in ordered if inside(row)]


def _typed(text: str, numeric: bool) -> Key:
    if not numeric:
        return text
    if not re.fullmatch("[0-9]{1,18}", text):
        raise RangeNotSatisfiable(f"{text!r} is not a number.")
    return int(text)


def _compare(one: Key, other: Key) -> int:
    first, second = ((key, "") if isinstance(key, int) else (0, key) for key in (one, other))
    return (first > second) - (first < second)
