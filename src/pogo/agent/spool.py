"""The output of a container on disk: one writer (its monitor), any reader, also after the end.

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

_HEADER = struct.Struct("=QQQQQQ")  # first offset still there, end, lines before it, start and end of the gap, _FORMAT
_RECORD = struct.Struct("=dII")  # unix time, lines before it (modulo 2 ** 32), length of the data
_FORMAT = 1  # 0: of a monitor from before an upgrade, with lines dropped in the place of lines
_MODULO = (1 << 32) - 1
_START = 4096
_MARK = 64 << 10
_READ = 128 << 10
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
        record = _RECORD.pack(at, self.lines & _MODULO, len(data)) + data
        self.lines += _count(data)
        try:
            if os.pwrite(self.fd, record, _START + self.end) < len(record):
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

    def collected(self, offset: int) -> None:
        """Frees the records before `offset`, which a reader has been given."""
        if not self.first < offset <= self.end:
            return
        reader, freed, (start, end) = Reader(self.fd, offset), self.first, self.gap
        self.first, self.before = reader.position, reader.line
        if self.first >= start:
            self.first, self.gap = max(self.first, end), (0, 0)
        while self.marks and self.marks[0] < self.first:
            self.marks.popleft()
        self._free(freed, self.first)

    def _free(self, start: int, end: int) -> None:
        self._write_header()
        syscalls.punch_hole(self.fd, _START + start, _START + end)

    def _write_header(self) -> None:
        os.pwrite(self.fd, _HEADER.pack(self.first, self.end, self.before & _MODULO, *self.gap, _FORMAT), 0)


def _count(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n"))


class Reader:
    """Gives records in their order, from the one in which `offset` lies, or the first one after it.

    position: how far it has come; line: how many lines that were (modulo 2 ** 32).
    """

    def __init__(self, fd: int, offset: int = 0) -> None:
        self.fd = fd
        self.position = self.line = 0
        while self.position < offset and (records := self._next(_READ)):
            for start, _, line, data in records:
                after = start + _RECORD.size + len(data)
                if offset <= start:
                    self.position = offset
                elif offset < after:
                    self.position, self.line = start, line
                else:
                    self.position, self.line = after, line + _count(data) & _MODULO
                    continue
                return

    def read(self, size: int = _READ) -> list[tuple[int, float, int, bytes]]:
        """The next records, about `size` bytes of them: (offset after it, unix time, lines lost before it, data)."""
        found = []
        for start, at, line, data in self._next(size):
            self.position = start + _RECORD.size + len(data)
            found.append((self.position, at, line - self.line & _MODULO, data))
            self.line = line + _count(data) & _MODULO
        return found

    def _next(self, size: int) -> list[tuple[int, float, int, bytes]]:
        """The next records: (start, unix time, lines before it, data). Stays where it is."""
        header = self._header()
        while True:
            first, end, before, gap, beyond, kind = header
            position = max(self.position, first)
            if gap <= position < beyond:
                position = beyond
            elif position < gap:
                end = gap
            block = os.pread(self.fd, min(max(end - position, 0), size), _START + position)
            if len(block) >= _RECORD.size:
                needed = _RECORD.size + _RECORD.unpack_from(block)[2]
                if needed > len(block):
                    block = os.pread(self.fd, needed, _START + position)
            header = self._header()
            if header[0] <= position and not (header[3] < position + len(block) and position < header[4]):
                break
        line = self.line
        if self.position < first:
            self.position, line = first, before if kind else line + before
            self.line = line if kind else self.line
        found = []
        index = 0
        while index + _RECORD.size <= len(block):
            at, number, length = _RECORD.unpack_from(block, index)
            data = block[index + _RECORD.size : index + _RECORD.size + length]
            if len(data) < length:
                break
            number = number if kind else line + number & _MODULO
            line = number + _count(data)
            found.append((position + index, at, number, data))
            index += _RECORD.size + length
        return found

    def _header(self) -> tuple[int, ...]:
        """Zeros where a power cut came before it was on the disk."""
        return _HEADER.unpack(os.pread(self.fd, _HEADER.size, 0).ljust(_HEADER.size, b"\0"))


def everything(fd: int) -> bytes:
    """All data that is still there."""
    reader, found = Reader(fd), bytearray()
    while records := reader.read():
        found += b"".join(data for *_, data in records)
    return bytes(found)


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
