"""Double of the log store for unit tests of decisions."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from pogo.logs import Filter, Line, gap
from pogo.logs.bells import Bells
from pogo.rules.log_lines import clean, matches


@dataclass
class _Stream:
    lines: list[Line] = field(default_factory=list)
    dropped: int = 0
    cursors: dict[str, int] = field(default_factory=dict)
    bells: Bells = field(default_factory=Bells)


class MemoryLogs:
    """`pogo.logs.LogStore` in lists. A line's id is its number in the stream, from 1."""

    def __init__(self, max_lines: int = 100_000) -> None:
        self._max_lines = max_lines
        self._streams: dict[str, _Stream] = {}
        self._lock = threading.Lock()

    def append(self, app: str, lines: Sequence[Line]) -> None:
        stream = self._stream(app)
        with self._lock:
            if stream.bells.closed:
                return
            stream.lines += [replace(line, text=clean(line.text)) for line in lines]
            stream.cursors.update(line.origin for line in lines if line.origin)
            excess = max(0, len(stream.lines) - self._max_lines)
            del stream.lines[:excess]
            stream.dropped += excess
        stream.bells.ring()

    def recent(self, app: str, count: int, filter: Filter = Filter()) -> list[tuple[str, Line]]:
        found = self._after(self._stream(app), 0, filter)
        return found[max(0, len(found) - max(count, 0)) :]

    async def follow(self, app: str, after: str, filter: Filter = Filter()) -> AsyncIterator[tuple[str, Line]]:
        stream = self._stream(app)
        position = int(after) if after.isdecimal() and int(after) <= stream.dropped + len(stream.lines) else 0
        missed = bool(after) and position == 0
        last = after
        with stream.bells.listen() as bell:
            while not stream.bells.closed:
                with self._lock:
                    newest = stream.dropped + len(stream.lines)
                    missed |= 0 < position < stream.dropped
                if missed and matches("heroku", "logplex", filter.source, filter.dyno):
                    yield last, gap()
                missed = False
                for id, line in self._after(stream, position, filter):
                    if int(id) <= newest:
                        last = id
                        yield id, line
                if position == newest:
                    await bell.wait()
                position = newest

    def cursor(self, app: str, container: str) -> int:
        return self._stream(app).cursors.get(container, 0)

    def destroy(self, app: str) -> None:
        stream = self._stream(app)
        with self._lock:
            stream.bells.close()
            stream.lines.clear()
            stream.cursors.clear()

    def _stream(self, app: str) -> _Stream:
        with self._lock:
            return self._streams.setdefault(app, _Stream())

    def _after(self, stream: _Stream, position: int, filter: Filter) -> list[tuple[str, Line]]:
        with self._lock:
            return [
                (str(number), line)
                for number, line in enumerate(stream.lines, stream.dropped + 1)
                if number > position and matches(line.source, line.dyno, filter.source, filter.dyno)
            ]
