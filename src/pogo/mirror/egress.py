"""The egress log of builds: a line of JSON when a request is let through or refused, one more when it has ended.

What was open when the mirror was killed has its first line, so nothing that left is missing.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from pogo.disk import write_whole
from pogo.errors import StorageFull
from pogo.rules.build_passes import Visitor

log = structlog.get_logger()
FILE_BYTES = 16 << 20
FILES = 8
NAME = "egress.log"
REFUSED = 403
LATEST_BYTES = 1 << 20
MOST_TOLD = 8


@dataclass
class Entry:
    """One request of a build.

    by: `mirror` (answered here), `passed` or `refused`. path: "" where a tunnel hides it; without the query,
    which may hold secrets. status: of the answer, where it can be seen; 0 else. sent, received: bytes of
    the build's and for the build, inside the tunnel. seconds: None while it is open.
    """

    app: str
    build: str
    method: str
    host: str
    port: int
    path: str = ""
    by: str = "passed"
    reason: str = ""
    status: int = 0
    sent: int = 0
    received: int = 0
    seconds: float | None = None
    at: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: secrets.token_hex(4))

    def send(self, size: int) -> None:
        self.sent += size

    def receive(self, size: int) -> None:
        self.received += size


class EgressLog:
    """The writer; one per directory. Nothing waits for it: on a full disk lines are lost, and our own log tells."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._fd).st_size

    def begin(self, visitor: Visitor, method: str, host: str, port: int, path: str = "", *, by: str) -> Entry:
        entry = Entry(visitor.app, visitor.build, method, host, port, path, by)
        self._write(entry)
        return entry

    def end(self, entry: Entry) -> None:
        entry.seconds = round(time.time() - entry.at, 3)
        self._write(entry)

    def fail(self, entry: Entry, status: int, reason: str) -> None:
        """It was begun, but there was no connection."""
        entry.status, entry.reason = status, reason
        if status == REFUSED:
            entry.by = "refused"
        self.end(entry)

    def refuse(self, visitor: Visitor, method: str, host: str, port: int, reason: str) -> None:
        entry = Entry(visitor.app, visitor.build, method, host, port, by="refused", reason=reason, seconds=0)
        self._write(entry)

    def _write(self, entry: Entry) -> None:
        line = json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n"
        try:
            write_whole(self._fd, line, self._size)
            self._size += len(line)
            if self._size >= FILE_BYTES:
                self._rotate()
        except (StorageFull, OSError) as error:
            log.error("a line of the egress log is lost", error=str(error), line=line.decode())

    def _rotate(self) -> None:
        for number in range(FILES - 1, 0, -1):
            older = _numbered(self.path, number)
            if older.exists():
                older.rename(_numbered(self.path, number + 1))
        self.path.rename(_numbered(self.path, 1))
        _numbered(self.path, FILES).unlink(missing_ok=True)
        os.close(self._fd)
        self._open()


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def entries(directory: Path) -> Iterator[Entry]:
    """What the log holds, oldest first by the time of its end; what never ended comes last."""
    path = directory / NAME
    begun: dict[str, Entry] = {}
    for file in [*(_numbered(path, number) for number in range(FILES, 0, -1)), path]:
        try:
            text = file.open("rb")
        except FileNotFoundError:
            continue
        with text:
            for line in text:
                entry = parse(line)
                if entry is None:
                    continue
                if entry.seconds is None:
                    begun[entry.id] = entry
                else:
                    begun.pop(entry.id, None)
                    yield entry
    yield from begun.values()


def not_had(directory: Path, build: str) -> list[str]:
    """What this build could not fetch, and why, once each, in words for its owner. Looks at the latest lines only."""
    try:
        with (directory / NAME).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LATEST_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    found = [entry for entry in map(parse, lines) if entry and entry.build == build and entry.reason]
    texts = dict.fromkeys(f"{entry.host}{entry.path}: {entry.reason}" for entry in found)
    return [*texts][:MOST_TOLD]


def parse(line: bytes) -> Entry | None:
    """An entry of its line; None for one that is damaged, as by a power cut."""
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None


def shown(entry: Entry) -> str:
    """An entry for people, in the form of the router's lines."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry.at))
    end = "unfinished" if entry.seconds is None else f"{entry.seconds:.3f}s"
    where = f"{entry.host}:{entry.port}" if entry.port != 443 else entry.host
    parts = [f"{at}Z app={entry.app} build={entry.build} by={entry.by} {entry.method} {where}{entry.path}"]
    parts += [f"status={entry.status}"] if entry.status else []
    parts += [f"sent={entry.sent} received={entry.received} {end}"] if entry.by != "refused" else []
    parts += [f'reason="{entry.reason}"'] if entry.reason else []
    return " ".join(parts)
