"""Procfile: which processes an app has.

Heroku: names of letters, digits, `-` and `_`; comments and blank lines do not count; the last of
two lines with the same name wins; the rest of the line goes to the shell unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_LINE = re.compile(r"([A-Za-z0-9_-]+):[ \t]*(\S.*)")
_LIKE_A_NAME = re.compile(r"([^:/#]+):\s+\S")
_NUL = "\0"


class InvalidProcfile(ValueError):
    """The Procfile cannot be read; the message names the line and the reason."""


@dataclass(frozen=True)
class Procfile:
    """types: command by process type, in the order of the file. ignored: lines that say nothing, by number."""

    types: dict[str, str]
    ignored: dict[int, str] = field(default_factory=dict)


def parse(text: str) -> Procfile:
    """Read a Procfile. Raises InvalidProcfile where nothing in it but lines that say nothing.

    Heroku: a line that is neither `name: command` nor a comment is passed over. They are in `ignored`.
    """
    if _NUL in text:
        raise InvalidProcfile("it holds a NUL byte, so it is not a text file")
    types: dict[str, str] = {}
    ignored: dict[int, str] = {}
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.rstrip()
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := _LINE.fullmatch(line):
            types.pop(match[1], None)
            types[match[1]] = match[2]
        else:
            ignored[number] = line
    if ignored and not types:
        number, line = next(iter(ignored.items()))
        if name := _LIKE_A_NAME.match(line):
            raise InvalidProcfile(
                f"line {number}: {name[1]!r} is not a process type; "
                "a name is made of letters, digits, - and _, and starts the line"
            )
        raise InvalidProcfile(f"line {number}: {line.strip()!r} is not of the form 'name: command'")
    return Procfile(types, ignored)


def parse_bytes(data: bytes) -> Procfile:
    """The same for a file's content. Raises InvalidProcfile also when it is not UTF-8."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidProcfile(f"line {line}: it is not UTF-8 text") from error
    return parse(text)


def merge(declared: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """All process types: the Procfile's, and below them the buildpack's defaults, key by key."""
    return {**defaults, **declared}
