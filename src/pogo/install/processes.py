"""What /proc tells about processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
# A process may end while it is looked at.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def pids() -> Iterator[int]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def command(pid: int) -> list[str]:
    """The arguments of a process; [] if it is gone, a zombie or a kernel thread."""
    with suppress(*_GONE):
        text = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        return text.rstrip("\0").split("\0") if text else []
    return []


def variable(pid: int, name: str) -> str | None:
    """A variable of the environment with which a process was started; None if it has none or is gone."""
    with suppress(*_GONE):
        for pair in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
            key, _, value = pair.partition(b"=")
            if key.decode(errors="replace") == name:
                return value.decode(errors="replace")
    return None


def owner(pid: int) -> int:
    """The user of a process, -1 if it is gone."""
    with suppress(*_GONE):
        return (PROC / str(pid)).stat().st_uid
    return -1


def parent(pid: int) -> int:
    """The parent's id, 0 if the process is gone."""
    with suppress(*_GONE):
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def descends(pid: int, ancestors: set[int]) -> bool:
    """Whether the process is one of `ancestors` or below one of them."""
    while pid > 1:
        if pid in ancestors:
            return True
        pid = parent(pid)
    return False


def find(arguments: list[str]) -> list[int]:
    """The processes that were started with exactly these arguments."""
    return [pid for pid in pids() if command(pid) == arguments]


def ended(pid: int) -> bool:
    """Whether no such process runs."""
    with suppress(*_GONE):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True
