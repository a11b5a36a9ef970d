"""What a container has printed, read from the file that its monitor writes: see `agent.spool`."""

from __future__ import annotations

import os

from pogo.agent.spool import HEADER, MODULO, RECORD, START, count

_READ = 128 << 10


class Reader:
    """Gives records in their order, from the one in which `offset` lies, or the first one after it.

    position: how far it has come; line: how many lines that were (modulo 2 ** 32).
    """

    def __init__(self, fd: int, offset: int = 0) -> None:
        self.fd = fd
        self.position = self.line = 0
        while self.position < offset and (records := self._next(_READ)):
            for start, _, line, data in records:
                after = start + RECORD.size + len(data)
                if offset <= start:
                    self.position = offset
                elif offset < after:
                    self.position, self.line = start, line
                else:
                    self.position, self.line = after, line + count(data) & MODULO
                    continue
                return

    def read(self, size: int = _READ) -> list[tuple[int, float, int, bytes]]:
        """The next records, about `size` bytes of them: (offset after it, unix time, lines lost before it, data)."""
        found = []
        for start, at, line, data in self._next(size):
            self.position = start + RECORD.size + len(data)
            found.append((self.position, at, line - self.line & MODULO, data))
            self.line = line + count(data) & MODULO
        return found

    def rest(self) -> bytes:
        """All data that is there from here on."""
        found = bytearray()
        while records := self.read():
            found += b"".join(data for *_, data in records)
        return bytes(found)

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
            block = os.pread(self.fd, min(max(end - position, 0), size), START + position)
            if len(block) >= RECORD.size:
                needed = RECORD.size + RECORD.unpack_from(block)[2]
                if needed > len(block):
                    block = os.pread(self.fd, needed, START + position)
            header = self._header()
            if header[0] <= position and not (header[3] < position + len(block) and position < header[4]):
                break
        line = self.line
        # kind 0: of a monitor from before an upgrade. It tells how many lines were dropped, not how many came before.
        if self.position < first:
            self.position, line = first, before if kind else line + before
            self.line = line if kind else self.line
        found = []
        index = 0
        while index + RECORD.size <= len(block):
            at, number, length = RECORD.unpack_from(block, index)
            data = block[index + RECORD.size : index + RECORD.size + length]
            if len(data) < length:
                break
            number = number if kind else line + number & MODULO
            line = number + count(data)
            found.append((position + index, at, number, data))
            index += RECORD.size + length
        return found

    def _header(self) -> tuple[int, ...]:
        """Zeros where a power cut came before it was on the disk."""
        return HEADER.unpack(os.pread(self.fd, HEADER.size, 0).ljust(HEADER.size, b"\0"))
