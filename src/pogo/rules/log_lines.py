"""Lines of a log stream: how raw output becomes lines, and how users see them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

# Heroku (Logplex): a longer line arrives as several lines of this many bytes.
LINE_BYTES = 10_000

_RAW_LINE = re.compile(rb"\r*[^\r\n]*(?:\r*\n|\r+\Z|(?=\r)|\Z)")
# Colours (CSI … m) stay; whatever else would move a reader's cursor or talk to the terminal goes.
_TERMINAL_COMMAND = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-ln-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[()*+][0-9A-Za-z])")
_BARE_ESCAPE = re.compile(r"\x1b(?!\[[0-9;:]*m)")
_SHOWN: dict[int, str | int] = {
    **{code: 0x2400 + code for code in range(32) if code not in (0x09, 0x1B)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    0x2028: " ",
    0x2029: " ",
}
_USER_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:\+00:00|Z)) "
    r"(?P<source>[^\s\[]+)\[(?P<dyno>[^\]]*)\]: (?P<text>.*)",
    re.DOTALL,
)


class Piece(NamedTuple):
    """One line of output. end: offset in the output just after it, its newline included."""

    end: int
    text: str


class UserLine(NamedTuple):
    at: float
    source: str
    dyno: str
    text: str


def split_output(data: bytes, end: int) -> list[Piece]:
    """Cut a process's raw output into lines; `end` is the offset just after `data`.

    Lines end at LF or CR LF; any other CR (progress bars) ends one too. Lines of more than
    `LINE_BYTES` bytes are cut, never inside a UTF-8 character. A last line without a newline counts.
    """
    pieces = []
    position = end - len(data)
    for raw in filter(None, _RAW_LINE.findall(data)) if b"\r" in data else data.splitlines(keepends=True):
        start = len(raw) - len(raw.lstrip(b"\r"))
        body = max(len(raw.rstrip(b"\r\n")), start)
        while body - start > LINE_BYTES:
            stop = character_boundary(raw, start + LINE_BYTES)
            pieces.append(Piece(position + stop, clean(raw[start:stop])))
            start = stop
        position += len(raw)
        pieces.append(Piece(position, clean(raw[start:body])))
    return pieces


def character_boundary(data: bytes, stop: int) -> int:
    """The largest position up to `stop` that is not inside a UTF-8 character."""
    for candidate in range(stop, max(stop - 4, -1), -1):
        if candidate >= len(data) or data[candidate] & 0xC0 != 0x80:
            return candidate
    return stop


def clean(raw: bytes | str) -> str:
    """Text that is harmless in a terminal and in an event stream: one line, colours kept.

    Invalid UTF-8 becomes U+FFFD, control characters their visible pictures (NUL: U+2400), terminal
    commands other than colours go.
    """
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw.encode("utf-8", "replace").decode()
    if text.isprintable():
        return text
    if "\x1b" in text:
        text = _BARE_ESCAPE.sub("\u241b", _TERMINAL_COMMAND.sub("", text))
    return text.translate(_SHOWN)


def matches(source: str, dyno: str, want_source: str, want_dyno: str) -> bool:
    """Whether a line passes a filter; `want_dyno` is a dyno's name or a process type; empty is any."""
    return (not want_source or source == want_source) and (
        not want_dyno or dyno == want_dyno or dyno.partition(".")[0] == want_dyno
    )


def format_line(at: float, source: str, dyno: str, text: str) -> str:
    """`2026-11-23T12:00:00.123456+00:00 app[web.1]: text`, as Heroku's clients expect it."""
    return f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='microseconds')} {source}[{dyno}]: {text}"


def parse_line(line: str) -> UserLine | None:
    """The parts of a line made by `format_line`; None where it is none."""
    match = _USER_LINE.fullmatch(line)
    if match is None:
        return None
    at = datetime.fromisoformat(match["at"].replace("Z", "+00:00")).timestamp()
    return UserLine(at, match["source"], match["dyno"], match["text"])
