"""What every part that writes files of its own has to get right: full disks and durable names."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pogo.errors import StorageFull


@contextmanager
def full_disk_is_an_error() -> Iterator[None]:
    """Turn a full disk or an exhausted quota into `StorageFull`; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull() from error
        raise


def write_whole(fd: int, data: bytes, size: int) -> None:
    """Append `data` to an open file of `size` bytes by one write(), or leave the file as it was.

    A full disk makes the kernel write a part; that part is cut off again. Raises `StorageFull`.
    """
    with full_disk_is_an_error():
        try:
            written = os.write(fd, data)
            while written < len(data):
                written += os.write(fd, data[written:])
        except OSError:
            os.ftruncate(fd, size)
            raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _Dropping(io.RawIOBase):
    """A pipe as a stream that never blocks: what does not fit is dropped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Any, /) -> int:
        # Neither a full pipe nor a full disk may stop who writes here, and there is nobody else to tell.
        with suppress(OSError):
            os.write(self._fd, data)
        return len(data)


def never_wait_for_the_log() -> None:
    """Where standard error is a pipe whose reader has stopped, as svlogd does on a full disk, lines are dropped."""
    if stat.S_ISFIFO(os.fstat(2).st_mode):
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(_Dropping(2)), errors="replace", line_buffering=True)
