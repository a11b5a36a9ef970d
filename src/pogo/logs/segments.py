"""Segments: the files of one app's log stream, and the records in them.

`<app>/<number>.log`, appended to until full, then the next number; the oldest go. A record is one
line, `time TAB source TAB dyno TAB container TAB offset TAB text`. A segment begins with `= TAB
container TAB offset` for the cursors known when it was begun, so that the newest segment alone
tells how far each container's output was collected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from pogo.logs import Filter, Line
from pogo.rules.log_lines import clean, matches

BLOCK = 64 * 1024

_NAME = re.compile(r"(\d{8})\.log")
_FIELD = re.compile(r"[^\s]*")
_CURSOR = re.compile(rb"^(?:=|[^\t\n]*\t[^\t\n]*\t[^\t\n]*)\t([^\t\n]+)\t(\d+)(?:\t|$)", re.MULTILINE)


def path(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}.log"


def numbers(directory: Path) -> list[int]:
    """Of the segments that are there, ascending."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in map(_NAME.fullmatch, names) if match)


def encode(lines: Iterable[Line]) -> bytes:
    """Raises ValueError where a source, dyno or container holds white space."""
    return "".join(
        f"{line.at:.6f}\t{_field(line.source)}\t{_field(line.dyno)}\t{_origin(line)}\t{clean(line.text)}\n"
        for line in lines
    ).encode()


def decode(raw: bytes, want: Filter) -> Line | None:
    """None where the record is none of a line (a cursor, damage after a power cut) or does not match."""
    parts = raw.decode("utf-8", "replace").split("\t", 5)
    if len(parts) != 6 or not matches(parts[1], parts[2], want.source, want.dyno):
        return None
    at, source, dyno, container, offset, text = parts
    try:
        return Line(float(at), source, dyno, text, (container, int(offset)) if container else None)
    except ValueError:
        return None


def encode_cursors(cursors: Mapping[str, int]) -> bytes:
    return "".join(f"=\t{container}\t{offset}\n" for container, offset in cursors.items()).encode()


def last_whole(data: bytes) -> tuple[int, dict[str, int]]:
    """Size of a segment without a torn last record, and its cursors, the newest last."""
    size = data.rfind(b"\n") + 1
    cursors: dict[str, int] = {}
    for container, offset in _CURSOR.findall(data, 0, size):
        name = container.decode("utf-8", "replace")
        cursors.pop(name, None)
        cursors[name] = int(offset)
    return size, cursors


def backwards(fd: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Records before `end` (a record's end), the last first, each with its own end."""
    size = BLOCK
    while end > 0:
        start = max(0, end - size)
        block = os.pread(fd, end - start, start)
        # The first record of a block may have begun before it: it is left to the next block.
        first = block.find(b"\n") + 1 if start else 0
        if first >= len(block):
            size *= 2
            continue
        position = end
        for raw in reversed(block[first:-1].split(b"\n")):
            yield position, raw
            position -= len(raw) + 1
        end = start + first
        size = BLOCK


def forwards(fd: int, start: int, end: int) -> list[tuple[int, bytes]]:
    """About a block of whole records between two offsets, each with its end."""
    size = BLOCK
    while True:
        block = os.pread(fd, min(size, end - start), start)
        whole = block.rfind(b"\n")
        if whole >= 0 or start + len(block) >= end:
            break
        size *= 2
    records = []
    for raw in block[:whole].split(b"\n") if whole >= 0 else []:
        start += len(raw) + 1
        records.append((start, raw))
    return records


def _origin(line: Line) -> str:
    return f"{_field(line.origin[0])}\t{line.origin[1]}" if line.origin else "\t"


@lru_cache(maxsize=4096)
def _field(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise ValueError(f"{value!r} is no name of a log source, dyno or container: it holds white space")
    return value
