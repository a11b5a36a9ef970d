"""Whether there is a backup that is young enough, and no restore that somebody has to complete."""

from __future__ import annotations

from datetime import datetime

from pogo.backup.record import Record
from pogo.install.doctor.check import Check, failed, ok, warning

AREA = "Data"
NOW = "pogo admin:backup takes one now, or says why not."


def backup(last: Record, hours: float, now: datetime) -> Check:
    """hours: between two of them; late is what has missed two."""
    age = last.age(now)
    shown = "there is none yet" if age is None else f"the last one is {age.total_seconds() / 3600:.0f} h old"
    if last.why:
        return warning(AREA, "backup", f"{shown}; the last try failed: {last.why}", NOW)
    if hours and age is not None and age.total_seconds() > 2 * hours * 3600:
        return warning(AREA, "backup", shown, NOW)
    return ok(AREA, "backup", shown)


def drill(last: Record) -> list[Check]:
    if not last.drill:
        return []
    return [failed(AREA, "drill", f"went wrong: {last.drill}", "See docs/backups.md; again: pogo admin:drill")]


def restoring(name: str) -> list[Check]:
    """name: of the backup whose restore was cut off."""
    if not name:
        return []
    found = f"of {name} was begun and did not come to its end"
    return [failed(AREA, "restore", found, f"Run it again: pogo admin:restore {name}")]
