"""What a person sees: headers, tables, progress of an action, errors, times. Colours only on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TextIO

CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


def colours(stream: TextIO) -> bool:
    """Whether a stream gets colours: a terminal, without NO_COLOR (https://no-color.org) and TERM=dumb."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Text in one or more of CODES (`"bold green"`), unchanged where colours are off."""
    if not text or not colours(stream or sys.stdout):
        return text
    return f"\033[{';'.join(CODES[name] for name in colour.split())}m{text}\033[0m"


def app_name(name: str, stream: TextIO | None = None) -> str:
    """As the official client shows an app: with a sign on a terminal, plain where others read it."""
    return paint(f"⬢ {name}", "magenta", stream) if colours(stream or sys.stdout) else name


def line(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")


def header(text: str) -> None:
    line(f"{paint('===', 'dim')} {paint(text, 'bold')}\n")


def json_text(value: Any) -> None:
    import json

    line(json.dumps(value, indent=2, ensure_ascii=False))


def _marked(text: str, mark: str, colour: str) -> None:
    sys.stdout.flush()
    shown = paint(mark, colour, sys.stderr)
    sys.stderr.write("".join(f" {shown}    {part}".rstrip() + "\n" for part in text.split("\n")))
    sys.stderr.flush()


def error(text: str) -> None:
    """` ▸    text` on stderr, every line of it."""
    _marked(text, "▸", "red")


def warn(text: str) -> None:
    _marked(text, "▸", "yellow")


class Action:
    """`Doing something... done, result` on stderr. Set `done` inside the block to change what ends the line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.done = "done"

    def __enter__(self) -> Action:
        sys.stdout.flush()
        sys.stderr.write(f"{self.text}... ")
        sys.stderr.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.write(f"{self.done}\n" if kind is None else f"{paint('!', 'red', sys.stderr)}\n")
        sys.stderr.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], heads: bool = True) -> None:
    """Rows in aligned columns, with the official client's ruled head line unless `heads` is off."""
    lines = [*([list(columns)] if heads else []), *rows]
    widths = [max((len(row[i]) for row in lines), default=0) for i in range(len(columns))]
    pad = " " if heads else ""

    def show(row: Sequence[str], colour: str = "") -> None:
        gap = " " if heads else "  "
        text = gap.join(cell + " " * (size - len(cell)) for cell, size in zip(row, widths, strict=True))
        line(f"{pad}{paint(text, colour) if colour else text}".rstrip())

    if heads:
        show(columns, "bold")
        show(["─" * size for size in widths], "dim")
    for row in rows:
        show(row)
    line()


def pairs(values: Mapping[str, Any], keys: Sequence[str] | None = None) -> None:
    """`Key:   value` lines, aligned, sorted by key unless `keys` gives the order; a list takes one line per element."""
    shown = [key for key in (keys or sorted(values)) if values.get(key) not in (None, [])]
    size = max((len(key) for key in shown), default=0) + 2
    for key in shown:
        value = values[key]
        items = value if isinstance(value, list) else [value]
        first = paint(f"{key}:", "cyan") + " " * (size - 1 - len(key))
        for item in items:
            line(f"{first}{item}")
            first = " " * size


def seconds(stamp: str) -> float:
    """Unix time of an API date (`2026-11-23T12:00:00Z`)."""
    import calendar

    return calendar.timegm(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))


def ago(stamp: str, now: float | None = None) -> str:
    """`2026/11/23 13:00:00 +0100 (~ 2h ago)`: an API date in local time."""
    at = seconds(stamp)
    since = int((time.time() if now is None else now) - at)
    shown = time.strftime("%Y/%m/%d %H:%M:%S %z", time.localtime(at))
    if since >= 86400 * 7:
        return shown
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        if since >= size:
            return f"{shown} (~ {since // size}{unit} ago)"
    return f"{shown} (~ just now)"


def byte_size(count: int | None) -> str:
    """`0 B`, `12 KB`, `3 MB`: binary units without decimals, as `apps:info` prints them."""
    amount = float(count or 0)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            return f"{amount:.0f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable")
