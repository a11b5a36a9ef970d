"""Who writes a log to a pipe must not depend on its reader."""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import suppress
from typing import Any


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
