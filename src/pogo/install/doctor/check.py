"""One answer of the doctor, and how answers are shown."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pogo.errors import PogoError

Level = Literal["ok", "warning", "failed"]
_COLOURS = {"ok": "32", "warning": "33", "failed": "31"}
_LEAST_WIDTH = 60


@dataclass(frozen=True)
class Check:
    """area: the heading. found: what was seen. advice: what to do, where that is anything.

    needed: nothing works without it, so that bin/up refuses.
    """

    area: str
    name: str
    level: Level
    found: str
    advice: str = ""
    needed: bool = False


def ok(area: str, name: str, found: str) -> Check:
    return Check(area, name, "ok", found)


def warning(area: str, name: str, found: str, advice: str) -> Check:
    return Check(area, name, "warning", found, advice)


def failed(area: str, name: str, found: str, advice: str, *, needed: bool = False) -> Check:
    return Check(area, name, "failed", found, advice, needed)


def guarded(area: str, name: str, ask: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """The answers of `ask`; where it cannot even ask, that is a failed check."""
    try:
        yield from ask()
    except (OSError, PogoError, ValueError, LookupError) as error:
        yield failed(area, name, f"cannot be looked at: {error}", "See the message; run pogo doctor again afterwards.")


def refusals(checks: Sequence[Check]) -> list[Check]:
    """What bin/up must not go on with."""
    return [check for check in checks if check.level == "failed" and check.needed]


def status(checks: Sequence[Check]) -> int:
    """The exit status: 1 where anything failed."""
    return int(any(check.level == "failed" for check in checks))


def as_json(checks: Sequence[Check]) -> str:
    return json.dumps([asdict(check) for check in checks], indent=2)


def table(checks: Sequence[Check], *, colours: bool = False, width: int = 100) -> str:
    """The answers by area; under what is not well, what to do."""
    names = max((len(check.name) for check in checks), default=0)
    rows: list[str] = []
    area = ""
    for check in checks:
        if check.area != area:
            rows += [*([""] if rows else []), f"=== {check.area}"]
            area = check.area
        level = f"\x1b[{_COLOURS[check.level]}m{check.level:<7}\x1b[0m" if colours else f"{check.level:<7}"
        indent = " " * (names + 11)
        found = _wrapped(check.found, width - len(indent))
        rows.append(f"{check.name:<{names}}  {level}  {found[0]}")
        rows += [indent + text for text in found[1:]]
        if check.advice and check.level != "ok":
            advice = _wrapped(check.advice, width - len(indent) - 3)
            rows += [f"{indent}{'-> ' if number == 0 else '   '}{text}" for number, text in enumerate(advice)]
    count = {level: sum(check.level == level for check in checks) for level in _COLOURS}
    rows += ["", f"{count['ok']} ok, {count['warning']} to look at, {count['failed']} failed"]
    return "\n".join(rows)


def show(checks: Sequence[Check]) -> None:
    live = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if live else 120
    print(table(checks, colours=live and "NO_COLOR" not in os.environ, width=max(_LEAST_WIDTH, width)))


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters where words allow it; a longer word stays whole, to be copied."""
    rows: list[str] = []
    for paragraph in text.splitlines() or [""]:
        row = ""
        for word in paragraph.split():
            if row and len(row) + 1 + len(word) > width:
                rows.append(row)
                row = word
            else:
                row = f"{row} {word}" if row else word
        rows.append(row)
    return rows
