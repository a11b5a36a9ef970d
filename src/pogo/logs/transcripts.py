"""Output of builds and release phases, byte for byte, while they run and afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

from pogo.disk import full_disk_is_an_error, write_whole
from pogo.errors import NotFound
from pogo.logs.bells import Bells
from pogo.rules.log_lines import character_boundary

MAX_BYTES = 20_000_000
CHUNK = 64 * 1024

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Transcripts:
    """One file per build or release, `<root>/<id>.txt`, and `<id>.end` once it is finished.

    Writers may be on any thread; followers read the files at their own pace. A daemon that takes a
    build over calls `restart` and collects its output again from the beginning: followers that have
    seen some of it go on where they were. Writing raises `errors.StorageFull`.
    """

    def __init__(self, root: Path, max_bytes: int = MAX_BYTES) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._bells: dict[str, Bells] = {}
        self._lock = threading.Lock()
        with full_disk_is_an_error():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def append(self, id: str, data: bytes, *, own: bool = False) -> None:
        """Add output. What exceeds the limit is dropped, and a line says so. own: of the platform, never dropped."""
        with self._lock, full_disk_is_an_error():
            fd = os.open(self._text(id), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(fd).st_size
                if size + len(data) > self._max_bytes and not own:
                    data = self._cut(data, size)
                write_whole(fd, data, size)
            finally:
                os.close(fd)
        self._ring(id)

    def finish(self, id: str) -> None:
        """No more output will come: followers end. Survives restarts."""
        with self._lock, full_disk_is_an_error():
            self._end(id).touch(mode=0o600)
        self._ring(id)

    def restart(self, id: str, keep: int = 0) -> None:
        """Forget what was collected after the first `keep` bytes, and that it was finished."""
        with self._lock, full_disk_is_an_error():
            self._end(id).unlink(missing_ok=True)
            with self._text(id).open("ab") as file:
                file.truncate(min(keep, file.tell()))

    def exists(self, id: str) -> bool:
        """Whether there has been any output, or its end."""
        return self._text(id).exists() or self.finished(id)

    def size(self, id: str) -> int:
        """Bytes there are so far."""
        try:
            return self._text(id).stat().st_size
        except FileNotFoundError:
            return 0

    def tail(self, id: str, count: int) -> bytes:
        """The last `count` bytes so far, fewer where there are not so many."""
        return self._read(id, max(0, self.size(id) - count))

    def finished(self, id: str) -> bool:
        return self._end(id).exists()

    def read(self, id: str) -> bytes:
        """All there is so far. Raises NotFound where nothing was ever written."""
        try:
            return self._text(id).read_bytes()
        except FileNotFoundError:
            if self.finished(id):
                return b""
            raise NotFound("output", "There is no output of that yet.") from None

    async def follow(self, id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Output from a byte offset on, live, until it is finished. Waits for one that has not begun."""
        with self._lock:
            bells = self._bells.setdefault(id, Bells())
        try:
            with bells.listen() as bell:
                while True:
                    # In this order: what is written before the end is marked is read after seeing the mark.
                    finished = self.finished(id)
                    data = await asyncio.to_thread(self._read, id, offset)
                    if data:
                        offset += len(data)
                        yield data
                    elif finished or bells.closed:
                        return
                    else:
                        await bell.wait()
        finally:
            with self._lock:
                if not bells.followers and self._bells.get(id) is bells:
                    del self._bells[id]

    def older_than(self, seconds: float) -> list[str]:
        """Ids of finished transcripts that ended longer ago."""
        before = time.time() - seconds
        return sorted(path.stem for path in self.root.glob("*.end") if path.stat().st_mtime < before)

    def remove(self, id: str) -> None:
        """Delete a transcript; followers of it end."""
        with self._lock:
            self._text(id).unlink(missing_ok=True)
            self._end(id).unlink(missing_ok=True)
            bells = self._bells.pop(id, None)
        if bells is not None:
            bells.close()

    def _read(self, id: str, offset: int) -> bytes:
        # The lock: bytes that a full disk makes a writer take back must not be seen.
        with self._lock:
            try:
                with self._text(id).open("rb") as file:
                    file.seek(offset)
                    return file.read(CHUNK)
            except FileNotFoundError:
                return b""

    def _cut(self, data: bytes, size: int) -> bytes:
        room = self._max_bytes - size
        if room < 0:
            return b""
        kept = data[: character_boundary(data, room)]
        return kept + f"\n !     Output was cut here: it is longer than {self._max_bytes} bytes.\n".encode()

    def _ring(self, id: str) -> None:
        bells = self._bells.get(id)
        if bells is not None:
            bells.ring()

    def _text(self, id: str) -> Path:
        return self._path(id, "txt")

    def _end(self, id: str) -> Path:
        return self._path(id, "end")

    def _path(self, id: str, kind: str) -> Path:
        if not _ID.fullmatch(id):
            raise ValueError(f"{id!r} is not the id of a transcript")
        return self.root / f"{id}.{kind}"
