"""Log store on files of this machine, written by this process alone."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pogo.disk import full_disk_is_an_error, write_whole
from pogo.logs import Filter, Line, gap, segments
from pogo.logs.bells import Bells
from pogo.rules.log_lines import matches

SEGMENTS = 8
BYTES_PER_LINE = 256
CURSORS_KEPT = 256

_APP = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_ID = re.compile(r"(\d{1,8}):(\d{1,15})")


class _Position(NamedTuple):
    """The end of a record. Its text form is the line's id, so "after this id" is "from here on"."""

    number: int
    offset: int

    def __str__(self) -> str:
        return f"{self.number}:{self.offset}"


_OLDEST = _Position(0, 0)


class _Stream:
    """What is known of one app's newest segment. Bytes of it past `size` are not there yet."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lock = threading.Lock()
        self.bells = Bells()
        self.number = max(segments.numbers(directory), default=0)
        self.size = 0
        self.cursors: dict[str, int] = {}
        if self.number:
            newest = segments.path(directory, self.number)
            data = newest.read_bytes()
            self.size, self.cursors = segments.last_whole(data)
            if self.size < len(data):
                os.truncate(newest, self.size)

    def end(self) -> _Position:
        with self.lock:
            return _Position(self.number, self.size)


class FileLogs:
    """`pogo.logs.LogStore` on files; each app keeps about `max_lines` lines of usual length.

    `append` may be called from any thread and does not wait for followers: they read the files.
    A follower that falls behind everything kept goes on at the oldest line. Once an app is
    destroyed its followers end, and lines that come late are dropped.
    """

    def __init__(self, root: Path, max_lines: int) -> None:
        self.root = root
        self._segment_bytes = max(max_lines * BYTES_PER_LINE // SEGMENTS, 4096)
        self._streams: dict[str, _Stream] = {}
        self._lock = threading.Lock()

    def append(self, app: str, lines: Sequence[Line]) -> None:
        if not lines:
            return
        data = segments.encode(lines)
        stream = self._stream(app)
        with stream.lock:
            if stream.bells.closed:
                return
            if stream.number == 0 or stream.size >= self._segment_bytes:
                self._begin_segment(stream)
            fd = os.open(segments.path(stream.directory, stream.number), os.O_WRONLY | os.O_APPEND)
            try:
                write_whole(fd, data, stream.size)
            finally:
                os.close(fd)
            stream.size += len(data)
            for container, offset in dict(line.origin for line in lines if line.origin).items():
                stream.cursors.pop(container, None)
                stream.cursors[container] = offset
        stream.bells.ring()

    def recent(self, app: str, count: int, filter: Filter = Filter()) -> list[tuple[str, Line]]:
        stream = self._stream(app)
        newest = stream.end()
        found: list[tuple[str, Line]] = []
        if count <= 0:
            return found
        for number in reversed(segments.numbers(stream.directory)):
            fd = _open(stream.directory, number)
            if fd is None:
                break
            try:
                size = newest.offset if number == newest.number else os.fstat(fd).st_size
                for end, raw in segments.backwards(fd, size if number <= newest.number else 0):
                    line = segments.decode(raw, filter)
                    if line is not None:
                        found.append((str(_Position(number, end)), line))
                        if len(found) == count:
                            return found[::-1]
            finally:
                os.close(fd)
        return found[::-1]

    async def follow(self, app: str, after: str, filter: Filter = Filter()) -> AsyncIterator[tuple[str, Line]]:
        stream = self._stream(app)
        position = _locate(stream, after)
        missed = bool(after) and position == _OLDEST
        last = after
        with stream.bells.listen() as bell:
            while not stream.bells.closed:
                if missed and matches("heroku", "logplex", filter.source, filter.dyno):
                    yield last, gap()
                newest = stream.end()
                # What was just written is in memory; older blocks may have to come from the disk.
                if newest.number == position.number and newest.offset - position.offset <= segments.BLOCK:
                    lines, reached, missed = _read(stream, position, newest, filter)
                else:
                    lines, reached, missed = await asyncio.to_thread(_read, stream, position, newest, filter)
                for last, line in lines:
                    yield last, line
                if reached == position:
                    await bell.wait()
                else:
                    position = reached
                    await asyncio.sleep(0)

    def cursor(self, app: str, container: str) -> int:
        stream = self._stream(app)
        with stream.lock:
            return stream.cursors.get(container, 0)

    def destroy(self, app: str) -> None:
        stream = self._stream(app)
        with stream.lock:
            stream.bells.close()
            stream.number = stream.size = 0
            stream.cursors.clear()
            if stream.directory.exists():
                shutil.rmtree(stream.directory)

    def _stream(self, app: str) -> _Stream:
        with self._lock:
            stream = self._streams.get(app)
            if stream is None:
                if not _APP.fullmatch(app):
                    raise ValueError(f"{app!r} is not the id of an app")
                stream = self._streams[app] = _Stream(self.root / app)
            return stream

    def _begin_segment(self, stream: _Stream) -> None:
        kept = dict(list(stream.cursors.items())[-CURSORS_KEPT:])
        header = segments.encode_cursors(kept)
        with full_disk_is_an_error():
            stream.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Renamed into place: a segment that is there has its cursors.
            temporary = stream.directory / "next"
            temporary.write_bytes(header)
            temporary.rename(segments.path(stream.directory, stream.number + 1))
        stream.number, stream.size, stream.cursors = stream.number + 1, len(header), kept
        for number in segments.numbers(stream.directory):
            if number <= stream.number - SEGMENTS:
                segments.path(stream.directory, number).unlink(missing_ok=True)


def _open(directory: Path, number: int) -> int | None:
    """None where the segment has gone."""
    try:
        return os.open(segments.path(directory, number), os.O_RDONLY)
    except FileNotFoundError:
        return None


def _locate(stream: _Stream, id: str) -> _Position:
    """Where following starts: at the id's position, at the oldest line if that is none of ours."""
    match = _ID.fullmatch(id)
    if match:
        position = _Position(int(match[1]), int(match[2]))
        fd = _open(stream.directory, position.number) if position.offset > 0 and position <= stream.end() else None
        if fd is not None:
            try:
                if os.pread(fd, 1, position.offset - 1) == b"\n":
                    return position
            finally:
                os.close(fd)
    return _OLDEST


def _read(
    stream: _Stream, position: _Position, newest: _Position, filter: Filter
) -> tuple[list[tuple[str, Line]], _Position, bool]:
    """Some lines after a position; the position reached, the same where nothing follows; whether lines are gone."""
    number, start = position
    fd = _open(stream.directory, number) if number else None
    if fd is not None:
        try:
            end = newest.offset if number == newest.number else os.fstat(fd).st_size
            records = segments.forwards(fd, start, end)
        finally:
            os.close(fd)
        if records:
            decoded = ((str(_Position(number, end)), segments.decode(raw, filter)) for end, raw in records)
            return [(id, line) for id, line in decoded if line is not None], _Position(number, records[-1][0]), False
    following = [later for later in segments.numbers(stream.directory) if number < later <= newest.number]
    gone = bool(number) and fd is None
    return [], _Position(following[0], 0) if following else position, gone and bool(following)
