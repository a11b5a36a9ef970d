"""What every part that writes files of its own has to get right: full disks and durable names."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
