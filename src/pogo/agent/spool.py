"""The output of a container on disk: one writer (its monitor), any reader (`containers.spool`), also after the end.

The file: one block of header, then records (header and data) at ever growing positions. What was collected, or is
too much, becomes a hole, so a position never changes its meaning. An offset counts bytes from the first record on,
record headers included. A record says how many lines came before it, so that who misses some knows how many.

What is too much goes from the middle. A reader that was killed goes on somewhere in the oldest part, since it tells
what it has collected: so that part stays, and nothing is counted as lost which it had read.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from pathlib import Path

from pogo.agent import syscalls

LONGEST_LINE = 10_000

HEADER = struct.Struct("=QQQQQQ")  # first offset still there, end, lines before it, start and end of the gap, _FORMAT
RECORD = struct.Struct("=dII")  # unix time, lines before it (modulo 2 ** 32), length of the data
_FORMAT = 1
MODULO = (1 << 32) - 1
START = 4096
_MARK = 64 << 10
_SPARED = 512 << 10  # more than may have been read since the last call of `collected`: see the port


class Spool:
    """The writer. A full disk never raises here: the output is dropped, and missing in the count of lines."""

    def __init__(self, path: Path | str, limit: int, group: int) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        os.fchown(self.fd, 0, group)
        self.limit = limit
        self.first = self.end = self.before = self.lines = 0
        self.gap = (0, 0)
        self.marks: deque[int] = deque()  # where some of the records begin
        self._write_header()

    def append(self, at: float, data: bytes) -> None:
        """Adds a record; drops older ones where more than `limit` bytes were not collected."""
        record = RECORD.pack(at, self.lines & MODULO, len(data)) + data
        self.lines += count(data)
        try:
            if os.pwrite(self.fd, record, START + self.end) < len(record):
                raise OSError(28, "no space left")
        except OSError:
            return
        if not self.marks or self.end - self.marks[-1] >= min(_MARK, self.limit // 8):
            self.marks.append(self.end)
        self.end += len(record)
        if self.end - self.first - (self.gap[1] - self.gap[0]) > self.limit:
            self._drop()
        self._write_header()

    def _drop(self) -> None:
        start, end = self.gap
        if start == end:
            while len(self.marks) > 1 and self.marks[0] < self.first + min(_SPARED, self.limit // 4):
                self.marks.popleft()
            start = end = self.marks[0]
        dropped = end
        while len(self.marks) > 1 and start - self.first + self.end - end > self.limit * 7 // 8:
            self.marks.popleft()
            end = self.marks[0]
        if end > dropped:
            self.gap = (start, end)
            self._free(dropped, end)

    def collected(self, offset: int, line: int) -> None:
        """Frees the records before `offset`, where one begins; `line`: how many lines came before, modulo 2 ** 32."""
        if not self.first < offset <= self.end:
            return
        freed, (start, end) = self.first, self.gap
        self.first, self.before = offset, line & MODULO
        if self.first >= start:
            self.first, self.gap = max(self.first, end), (0, 0)
        while self.marks and self.marks[0] < self.first:
            self.marks.popleft()
        self._free(freed, self.first)

    def _free(self, start: int, end: int) -> None:
        self._write_header()
        syscalls.punch_hole(self.fd, START + start, START + end)

    def _write_header(self) -> None:
        os.pwrite(self.fd, HEADER.pack(self.first, self.end, self.before, *self.gap, _FORMAT), 0)


def count(data: bytes) -> int:
    """Lines, as records count them."""
    return data.count(b"\n") + (not data.endswith(b"\n"))


class Lines:
    """Cuts a stream into whole lines; one longer than LONGEST_LINE bytes becomes several."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that are complete by now, each ending in a newline."""
        data = self.rest + data
        end = data.rfind(b"\n") + 1
        whole, self.rest = data[:end], data[end:]
        if len(whole) > LONGEST_LINE:
            whole = b"".join(_shorten(line + b"\n") for line in whole[:-1].split(b"\n"))
        if len(self.rest) > LONGEST_LINE:
            pieces = _shorten(self.rest)
            cut = pieces.rfind(b"\n") + 1
            whole, self.rest = whole + pieces[:cut], pieces[cut:]
        return whole

    def flush(self) -> bytes:
        """The last line, if it has no newline."""
        rest, self.rest = self.rest, b""
        return rest


def _shorten(line: bytes) -> bytes:
    """The line with newlines put in, so that no piece is too long; no UTF-8 character is cut."""
    pieces = []
    while len(line.rstrip(b"\n")) > LONGEST_LINE:
        cut = LONGEST_LINE
        while cut > LONGEST_LINE - 4 and line[cut] & 0xC0 == 0x80:
            cut -= 1
        pieces.append(line[:cut] + b"\n")
        line = line[cut:]
    return b"".join(pieces) + line
