"""Why a build ends early, and how that is told to the person who pushed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pogo.build.output import detail, warning

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_FULL_TEXTS = (b"No space left on device", b"Disk quota exceeded", b"ENOSPC", b"EDQUOT")


class AppFault(Exception):
    """The build cannot succeed with this source. message: what and why. hints: what next, line by line."""

    status = 1

    def __init__(self, message: str, *hints: str, rejected: str = "") -> None:
        self.message = message
        self.hints = hints
        self.rejected = rejected
        super().__init__(message)


class PlatformFault(AppFault):
    """The platform could not run the build; pushing again later may help."""

    status = 2


class DiskFull(PlatformFault):
    """No space is left on the disk of the builds."""

    def __init__(self) -> None:
        super().__init__(
            "No space left on the disk of the build.",
            "The running release is untouched. Make the app or its dependencies smaller,",
            "or ask the operator of this platform to free space; then push again.",
        )


class CompileFailed(AppFault):
    """A buildpack's script ended with an error, after it has printed its own."""

    def __init__(self, name: str, why: str = "") -> None:
        super().__init__(why, rejected=f"Push rejected, failed to compile {name} app.")


def show(fault: AppFault) -> None:
    """Print a failure the way Heroku does; the last line is ` !     Push failed`."""
    if fault.message:
        first, *more = fault.message.splitlines()
        warning(first)
        for line in (*more, *fault.hints):
            detail(line)
    if fault.rejected:
        print(flush=True)
        warning(fault.rejected)
    print(flush=True)
    warning("Push failed")


def disk_is_full(directory: Path, output: bytes = b"") -> bool:
    """Whether a command failed for want of space: it said so in `output`, or a small file cannot be written."""
    if any(text in output for text in _DISK_FULL_TEXTS):
        return True
    probe = directory / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(bytes(1 << 20))
    except OSError as error:
        return error.errno in DISK_FULL
    finally:
        probe.unlink(missing_ok=True)
    return False
