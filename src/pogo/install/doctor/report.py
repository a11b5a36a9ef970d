"""The whole examination of an installation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pogo.agent import installation
from pogo.backup import record
from pogo.errors import PogoError
from pogo.install import configuration, parts
from pogo.install.doctor import backups, check, inside, leftovers, machine, platform
from pogo.install.doctor.check import Check
from pogo.settings import Settings


def before_start(settings: Settings, ours: set[int]) -> list[Check]:
    """What bin/up asks. ours: processes of the platform that run already."""
    return [*machine.kernel_checks(settings), *machine.checks(settings, ours)]


def examine() -> list[Check]:
    """Everything, of the installation that POGO_CONFIG names. Raises BadSetting, BadConfiguration."""
    config = Path(os.environ["POGO_CONFIG"])
    settings = configuration.load(config, os.environ)
    supervisor = parts.supervisor(settings, Path("/nonexistent"))
    running = platform.own_processes(supervisor)
    found = before_start(settings, running)
    if not (settings.state_dir / "env").exists():
        absent = check.failed(platform.AREA, "installation", f"there is none in {settings.state_dir}", "Run bin/up.")
        return [*found, absent]
    found += platform.checks(settings, supervisor, config)
    last = record.read(settings)
    found += [backups.backup(last, settings.backup_hours, datetime.now(UTC)), *backups.drill(last)]
    found += backups.restoring(record.unfinished_restore(settings))
    ours = installation.load(os.environ)
    if running:
        found += check.guarded(inside.AREA, "names", lambda: inside.checks(ours))
    return [*found, *leftovers.checks(ours)]


def refuse(found: Sequence[Check]) -> None:
    """Raises PogoError where something that nothing works without has failed."""
    rows = [f"{one.name}: {one.found}\n{one.advice}" for one in check.refusals(found)]
    if rows:
        raise PogoError("\n".join(rows))
