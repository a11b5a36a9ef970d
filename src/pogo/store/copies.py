"""Local copies of objects of a remote store: files of a directory, up to a size, the least recently used go first."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import structlog

from pogo.disk import full_disk_is_an_error, sync_directory
from pogo.errors import Unavailable

log = structlog.get_logger()
CHUNK = 1 << 20
# A copy that was just given out is about to be opened, mounted or read.
RECENT = 600.0
LOOPS = Path("/sys/block")


class Copies:
    """Named `<kind>/<name>@<version>`. A file has its name only when all of it is there, synced and checked.

    Another process may use the same directory; two then may fetch the same object.
    """

    def __init__(self, root: Path, largest: int) -> None:
        """largest: bytes; exceeded only by what is in use."""
        self.root, self.largest = root, largest
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._checked: set[tuple[str, int, int]] = set()
        with full_disk_is_an_error():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, key: str, version: str, fetch: Callable[[], BinaryIO], sha256: str = "") -> Path:
        """The copy, fetched where it is missing or was damaged. Raises what `fetch` and its reader do, StorageFull."""
        path = self.root / f"{key}@{version}"
        with self._lock:
            lock = self._locks[key]
        with lock:
            if not self._is_good(path, sha256):
                self._remove_all(key)
                self._fetch(path, key, fetch, sha256)
            os.utime(path)
        self.shrink(self.largest)
        return path

    def remove(self, key: str) -> None:
        """What has it open or mounted keeps it."""
        with self._lock:
            lock = self._locks.pop(key, None) or threading.Lock()
        with lock:
            self._remove_all(key)

    def shrink(self, largest: int) -> None:
        """Remove the least recently used until the rest is no larger; never what is mounted or was just given out."""
        found = []
        for path in self.root.glob("*/[!.]*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_blocks * 512, path))
        total = sum(size for _, size, _ in found)
        if total <= largest:
            return
        mounted, now = _mounted(), time.time()
        for used, size, path in sorted(found):
            if now - used < RECENT or str(path.resolve()) in mounted:
                continue
            path.unlink(missing_ok=True)
            total -= size
            if total <= largest:
                return
        log.info("local copies take more than they may, since they are in use", megabytes=total >> 20)

    def sweep(self) -> int:
        """Remove what killed processes left half; call it before others fetch."""
        swept = 0
        for path in self.root.glob("*/.get-*"):
            path.unlink(missing_ok=True)
            swept += 1
        return swept

    def _is_good(self, path: Path, sha256: str) -> bool:
        """It is there; and its bytes are right, which is looked at once in the life of this process."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        mark = (str(path), status.st_ino, status.st_size)
        if mark in self._checked:
            return True
        if not sha256:  # of an earlier process, and nothing tells whether it is whole
            return False
        with path.open("rb") as file:
            good = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if good:
            self._checked.add(mark)
        else:
            log.warning("a local copy was damaged and is fetched again", file=str(path))
        return good

    def _fetch(self, path: Path, key: str, fetch: Callable[[], BinaryIO], sha256: str) -> None:
        with full_disk_is_an_error():
            path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.parent / f".get-{os.getpid()}-{secrets.token_hex(8)}"
        digest = hashlib.sha256()
        try:
            with fetch() as source, full_disk_is_an_error():
                with temporary.open("xb") as file:
                    while chunk := source.read(CHUNK):
                        digest.update(chunk)
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                if sha256 and digest.hexdigest() != sha256:
                    raise Unavailable(f"The object {key!r} is damaged in the object store: its SHA-256 is another.")
                temporary.rename(path)
                sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        status = path.stat()
        self._checked.add((str(path), status.st_ino, status.st_size))

    def _remove_all(self, key: str) -> None:
        kind, _, name = key.partition("/")
        directory = self.root / kind
        if not directory.is_dir():
            return
        for entry in os.scandir(directory):
            if entry.name.rpartition("@")[0] == name:
                Path(entry.path).unlink(missing_ok=True)
                self._checked = {mark for mark in self._checked if mark[0] != entry.path}


def _mounted() -> set[str]:
    """Files behind the machine's loop devices."""
    found = set()
    for loop in LOOPS.glob("loop*/loop/backing_file"):
        try:
            found.add(loop.read_text().rstrip("\n"))
        except OSError:  # it was let go of meanwhile
            continue
    return found
