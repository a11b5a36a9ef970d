"""How the last backup and the last drill went, for the operator: two small files, read without asking the store."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pogo.settings import Settings


@dataclass(frozen=True)
class Record:
    """name, at, size, seconds: of the last good backup ("" and 0: there was none). bytes and seconds.

    failed_at, why: of the last try, where it failed. drill_at, drill: when the last drill ended, "" or what was wrong.
    """

    name: str = ""
    at: str = ""
    size: int = 0
    seconds: float = 0.0
    failed_at: str = ""
    why: str = ""
    drill_at: str = ""
    drill: str = ""

    def age(self, now: datetime) -> timedelta | None:
        """Of the last good backup."""
        return now - datetime.fromisoformat(self.at) if self.at else None


def read(settings: Settings) -> Record:
    """Raises no error: what cannot be read was not recorded."""
    found: dict[str, Any] = {}
    for file in (_taken(settings), _drilled(settings)):
        try:
            found |= json.loads(file.read_text())
        except (OSError, ValueError):
            continue
    known = set(Record.__dataclass_fields__)
    return Record(**{name: value for name, value in found.items() if name in known})


def good(settings: Settings, name: str, at: datetime, size: int, seconds: float) -> None:
    text = {"name": name, "at": at.isoformat(timespec="seconds"), "size": size, "seconds": round(seconds, 1)}
    _write(_taken(settings), text)


def failed(settings: Settings, why: str) -> None:
    last = replace(read(settings), failed_at=_now(), why=why, drill_at="", drill="")
    _write(_taken(settings), {name: value for name, value in asdict(last).items() if value})


def drilled(settings: Settings, wrong: str) -> None:
    """By root, who has the recovery key. wrong: "" after a good one."""
    _write(_drilled(settings), {"drill_at": _now(), "drill": wrong})


def begun_restore(settings: Settings) -> Path:
    """Names the backup whose restore has begun to change things and did not come to its end. Root's."""
    return settings.state_dir / "keys" / "restore.begun"


def unfinished_restore(settings: Settings) -> str:
    """The name of that backup; "" where there is none."""
    file = begun_restore(settings)
    return file.read_text().strip() if file.exists() else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _taken(settings: Settings) -> Path:
    return settings.backups_dir / "last.json"


def _drilled(settings: Settings) -> Path:
    return settings.state_dir / "log" / "drill.json"


def _write(file: Path, fields: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        os.fchmod(new.fileno(), 0o644)
        new.write(json.dumps(fields))
    Path(new.name).rename(file)
