"""Object store on a local directory: `<root>/<kind>/<name>`, one file an object."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pogo.disk import full_disk_is_an_error, sync_directory
from pogo.errors import NotFound, Unavailable

CHUNK = 1 << 20
STALE_AFTER = 3600.0
_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,199}/[a-z0-9_-][a-z0-9._-]{0,199}")
_TEMPORARY = re.compile(r"\.put-(\d+)-([0-9a-f]+)-[0-9a-f]+")
# A pid comes back after a restart of the machine; this tells its bearers apart.
_PROCESS = secrets.token_hex(4)


def check_key(key: str) -> str:
    """Return the key; raises ValueError where it is none. A part starts with no dot, so `..` is none."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not an object key: use kind/name of a-z, 0-9, '.', '_' and '-'")
    return key


def file_chunks(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(size):
            yield chunk


class FileStore:
    """`pogo.store.BlobStore` on a directory of this machine, which nobody else writes.

    An object is written beside its final name, synced and renamed, so a reader sees the old bytes
    or the new ones. Call `sweep` once at start: it removes what killed writers left.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        with full_disk_is_an_error():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        path = self._path(key)
        with _broken_is_unavailable(), full_disk_is_an_error():
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                sync_directory(self.root)
            temporary = path.parent / f".put-{os.getpid()}-{_PROCESS}-{secrets.token_hex(8)}"
            try:
                size = 0
                with open(temporary, "xb", buffering=0, opener=_private) as file:
                    for chunk in chunks:
                        view = memoryview(chunk)
                        while view:
                            view = view[file.write(view) :]
                        size += len(chunk)
                    os.fsync(file.fileno())
                temporary.rename(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            sync_directory(path.parent)
        return size

    def put_file(self, key: str, path: Path) -> int:
        return self.put(key, file_chunks(path))

    def open(self, key: str) -> BinaryIO:
        with _missing_is_not_found(key):
            return self._path(key).open("rb")

    def size(self, key: str) -> int:
        with _missing_is_not_found(key):
            return self._path(key).stat().st_size

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, sorted."""
        kinds = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
        for kind in kinds:
            if not (kind.startswith(prefix) or prefix.startswith(f"{kind}/")):
                continue
            for name in sorted(os.listdir(self.root / kind)):
                key = f"{kind}/{name}"
                if not name.startswith(".") and key.startswith(prefix):
                    yield key

    def local(self, key: str) -> Path:
        with _missing_is_not_found(key):
            return self._path(key).resolve(strict=True)

    def free_copies(self) -> bool:
        return False

    def sweep(self) -> int:
        """Remove half-written objects of dead processes, or untouched for an hour; returns how many."""
        swept = 0
        for path in self.root.glob("*/.put-*"):
            match = _TEMPORARY.fullmatch(path.name)
            if match and (not _alive(int(match[1]), match[2]) or _untouched(path)):
                path.unlink(missing_ok=True)
                swept += 1
        return swept

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)


@contextmanager
def _broken_is_unavailable() -> Iterator[None]:
    try:
        yield
    except ConnectionError:
        raise  # of whoever sends the bytes
    except OSError as error:
        raise Unavailable(f"The object store cannot be written ({error.strerror}). Try again in a moment.") from error


@contextmanager
def _missing_is_not_found(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound("object", f"There is no object {key!r} in the store.") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _alive(pid: int, process: str) -> bool:
    return process == _PROCESS if pid == os.getpid() else Path(f"/proc/{pid}").exists()


def _untouched(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > STALE_AFTER
    except FileNotFoundError:
        return False
