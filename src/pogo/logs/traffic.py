"""Counts of apps' requests, kept for a day: a file per app and day (UTC), a line per minute.

Not in the database: 5,000 apps are 5,000 lines a minute, and whatever is written there wakes all loops.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pogo.disk import full_disk_is_an_error, write_whole
from pogo.rules import traffic
from pogo.rules.router_log import RouterRecord
from pogo.rules.traffic import Counts, Minutes

_APP = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Traffic:
    """Counts requests in memory and appends them to files when it is told to.

    What was not written is lost with the process. `count` and `take` are called in the event loop, all else in threads.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._pending: Minutes = {}
        self._taken: Minutes = {}
        self._since_start: dict[str, Counts] = {}
        self._files = threading.Lock()

    def count(self, records: Sequence[RouterRecord], apps: Mapping[int, str]) -> None:
        """apps: slot → app id."""
        traffic.count(records, apps, self._pending)

    def take(self) -> Minutes:
        """What was counted since the last call, for `write`."""
        self._taken, self._pending = self._pending, {}
        for (app, _), counts in self._taken.items():
            self._since_start.setdefault(app, Counts()).add(counts)
        return self._taken

    def write(self, minutes: Minutes) -> None:
        """Append to the files. Raises StorageFull: some of it is lost then."""
        lines: dict[Path, list[str]] = {}
        for (app, minute), counts in sorted(minutes.items(), key=lambda one: one[0][1]):
            lines.setdefault(self._file(app, _day(minute)), []).append(f"{traffic.line(minute, counts)}\n")
        try:
            with self._files, full_disk_is_an_error():
                for file, texts in lines.items():
                    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _append(file, "".join(texts).encode())
        finally:
            self._taken = {}

    def read(self, app: str, first: int, last: int) -> list[tuple[int, Counts]]:
        """Minutes since the epoch from `first` to before `last` with what was counted, what is not written yet too.

        A minute may come several times; its counts add up.
        """
        found: list[tuple[int, Counts]] = []
        with self._files:
            for day in sorted({_day(first), _day(max(first, last - 1))}):
                file = self._file(app, day)
                texts = file.read_text(errors="replace").splitlines() if file.exists() else []
                found += [parsed for text in texts if (parsed := traffic.parse(text))]
            for minutes in (self._taken, self._pending):
                found += [(minute, counts.copy()) for (id, minute), counts in list(minutes.items()) if id == app]
        return [(minute, counts) for minute, counts in found if first <= minute < last]

    def since_start(self) -> dict[str, Counts]:
        """App id → all that this process has counted."""
        found = {app: counts.copy() for app, counts in self._since_start.copy().items()}
        for (app, _), counts in list(self._pending.items()):
            found.setdefault(app, Counts()).add(counts.copy())
        return found

    def prune(self, now: float) -> None:
        """Delete the files of days that no minute of the last 24 hours belongs to. now: unix time."""
        oldest = _day(int(now // 60) - traffic.KEPT)
        with self._files:
            for directory in self.root.iterdir() if self.root.exists() else ():
                old = [file for file in directory.iterdir() if file.name < oldest]
                for file in old:
                    file.unlink()
                if old and not any(directory.iterdir()):
                    directory.rmdir()

    def destroy(self, app: str) -> None:
        """Forget an app."""
        self._since_start.pop(app, None)
        with self._files:
            shutil.rmtree(self._directory(app), ignore_errors=True)

    def _file(self, app: str, day: str) -> Path:
        return self._directory(app) / day

    def _directory(self, app: str) -> Path:
        if not _APP.fullmatch(app):
            raise ValueError(f"{app!r} is not the id of an app")
        return self.root / app


def _day(minute: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(minutes=minute)).strftime("%Y-%m-%d")


def _append(file: Path, data: bytes) -> None:
    fd = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(fd).st_size
        # A line that was torn when the machine went down must not take the next one with it.
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        write_whole(fd, b"\n" * torn + data, size)
    finally:
        os.close(fd)
