"""The output of a container on disk: one writer (its monitor), any reader, also after the end.

The file: one block of header, then records (header and data) at ever growing positions. What was
collected, or is too much, becomes a hole, so a position never changes its meaning. An offset
counts bytes from the first record on, record headers included.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pogo.agent import syscalls

LONGEST_LINE = 10_000

_HEADER = struct.Struct("=QQQ")  # first offset still there, end, lines dropped before the first
_RECORD = struct.Struct("=dII")  # unix time, lines dropped before it, length of the data
_START = 4096
_MARK = 64 << 10


class Spool:
    """The writer. A full disk never raises here: the output is dropped and counted as lost."""

    def __init__(self, path: Path | str, limit: int, group: int) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        os.fchown(self.fd, 0, group)
        self.limit = limit
        self.first = self.end = self.dropped = self.unwritten = self.lines = 0
        self.marks: deque[tuple[int, int]] = deque()
        self._write_header()

    def append(self, at: float, data: bytes) -> None:
        """Adds a record; drops the oldest where more than `limit` bytes were not collected."""
        lines = _count(data)
        record = _RECORD.pack(at, self.unwritten, len(data)) + data
        try:
            if os.pwrite(self.fd, record, _START + self.end) < len(record):
                raise OSError(28, "no space left")
        except OSError:
            self.unwritten += lines
            return
        if not self.marks or self.end - self.marks[-1][0] >= min(_MARK, self.limit // 8):
            self.marks.append((self.end, self.lines))
        self.unwritten = 0
        self.lines += lines
        self.end += len(record)
        if self.end - self.first > self.limit:
            self._drop()
        self._write_header()

    def _drop(self) -> None:
        before = self.marks[0][1] if self.marks else self.lines
        while len(self.marks) > 1 and self.end - self.marks[0][0] > self.limit * 7 // 8:
            self.marks.popleft()
        offset, lines = self.marks[0]
        if offset > self.first:
            self.dropped += lines - before
            self._free(offset)

    def collected(self, offset: int) -> None:
        """Frees everything before `offset`, which a reader has been given."""
        if not self.first < offset <= self.end:
            return
        start, lines = self.marks[0]
        while self.marks and self.marks[0][0] <= offset:
            start, lines = self.marks.popleft()
        between = read(self.fd, start, offset - start) if offset > start else ()
        self.marks.appendleft((offset, lines + sum(_count(data) for after, _, _, data in between if after <= offset)))
        self.dropped = 0
        self._free(offset)
        self._write_header()

    def all(self) -> list[tuple[int, float, int, bytes]]:
        """Every record that is still there, as `read` gives them."""
        return list(read(self.fd, self.first, self.end - self.first))

    def _free(self, offset: int) -> None:
        start, self.first = self.first, offset
        self._write_header()
        syscalls.punch_hole(self.fd, _START + start, _START + offset)

    def _write_header(self) -> None:
        os.pwrite(self.fd, _HEADER.pack(self.first, self.end, self.dropped), 0)


def _count(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n"))


def read(fd: int, offset: int, size: int = 256 << 10) -> Iterator[tuple[int, float, int, bytes]]:
    """Records from `offset` on, about `size` bytes: (offset after it, unix time, lines lost before it, data)."""
    if os.fstat(fd).st_size < _HEADER.size:
        return  # a power cut came before it was on the disk
    while True:
        first, end, dropped = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
        lost = dropped if offset < first else 0
        position = max(offset, first)
        block = os.pread(fd, min(end - position, size), _START + position) if end > position else b""
        if len(block) >= _RECORD.size:
            needed = _RECORD.size + _RECORD.unpack_from(block)[2]
            if needed > len(block):
                block = os.pread(fd, needed, _START + position)
        if _HEADER.unpack(os.pread(fd, _HEADER.size, 0))[0] <= position:
            break
    index = 0
    while index + _RECORD.size <= len(block):
        at, before, length = _RECORD.unpack_from(block, index)
        data = block[index + _RECORD.size : index + _RECORD.size + length]
        if len(data) < length:
            return
        index += _RECORD.size + length
        yield position + index, at, before + lost, data
        lost = 0


def start_of(fd: int, offset: int) -> int:
    """Where to read from to get the whole record that `offset` lies in; the offset itself between two records."""
    position = 0
    while records := [*read(fd, position)]:
        for position, _, _, data in records:
            if position >= offset:
                start = position - len(data) - _RECORD.size
                return start if start < offset < position else offset
    return offset


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
