"""`pogo admin:status`: what an operator wants to see of his platform on one screen, also while parts of it are down."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pogo import __version__
from pogo.backup import record
from pogo.errors import CommandFailed
from pogo.install import first_app, parts
from pogo.install.backups import as_pogod, here
from pogo.install.doctor import report
from pogo.install.progress import line
from pogo.settings import Settings

# Of the state directory: what takes its room. `scratch` holds the layers of dynos and builds.
PLACES = (
    *("store", "copies", "git", "logs", "transcripts", "stacks", "unpacked"),
    *("envs", "db", "scratch", "mirror", "tmp", "log"),
)
LONGEST = 300.0
_TICK = os.sysconf("SC_CLK_TCK")


def show(*, as_json: bool) -> None:
    """Raises PogoError for anyone but root, and where there is no installation."""
    settings, config = here()
    found = collect(settings, config)
    if as_json:
        line(json.dumps(found, indent=2))
    else:
        for row in rows(found, datetime.now(UTC)):
            line(row)


def collect(settings: Settings, config: Path) -> dict[str, Any]:
    """Sizes in bytes, times in seconds."""
    supervisor = parts.supervisor(settings, Path("/nonexistent"))
    disk = shutil.disk_usage(settings.state_dir)
    services = parts.services(settings, Path(sys.prefix), config)
    last = record.read(settings)
    return {
        "version": __version__,
        "state_dir": str(settings.state_dir),
        "api": settings.https_url(settings.api_host),
        "answers": first_app.status(settings, settings.api_host),
        "programs": {one.name: _process(supervisor.pid(one.name)) for one in services},
        **_numbers(settings, config),
        "backup": {
            "name": last.name,
            "at": last.at,
            "failed": last.why,
            "drill_at": last.drill_at,
            "drill": last.drill,
        },
        "disk": {
            "free": disk.free,
            "total": disk.total,
            **{name: size_of(settings.state_dir / name) for name in PLACES},
        },
        "to_do": [
            {"name": one.name, "found": one.found, "advice": one.advice, "level": one.level}
            for one in report.examine()
            if one.level != "ok"
        ],
    }


def _process(pid: int | None) -> dict[str, int] | None:
    """None: it does not run. up: seconds; memory: of it alone."""
    if not pid:
        return None
    try:
        began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / _TICK
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    resident = next((int(row.split()[1]) << 10 for row in status if row.startswith("VmRSS:")), 0)
    return {"pid": pid, "up": int(time.clock_gettime(time.CLOCK_BOOTTIME) - began), "memory": resident}


def _numbers(settings: Settings, config: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = as_pogod(settings, config, module="pogo.install.numbers", timeout=LONGEST)
    except CommandFailed as error:
        said = {"error": error.stderr.strip().splitlines()[-1] if error.stderr.strip() else error.message}
        return {"database": said, "store": said}
    return found


def size_of(directory: Path) -> int:
    """On this disk alone: what is mounted below is not of here. Files that go meanwhile do not count."""
    total, waiting = 0, [str(directory)]
    try:
        device = os.lstat(directory).st_dev
    except FileNotFoundError:
        return 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    if found.st_dev == device:
                        total += found.st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
        except OSError:
            continue
    return total


def rows(found: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """The screen."""
    database, store, disk, backup = found["database"], found["store"], found["disk"], found["backup"]
    schema = database.get("schema", "unknown")
    yield f"Pogoapp {found['version']} (schema {schema}) in {found['state_dir']}"
    answers = 0 < found["answers"] < 500
    yield f"API         {found['api']} {'answers' if answers else 'DOES NOT ANSWER'}"
    for name, process in found["programs"].items():
        if process is None:
            yield f"{name:<11} DOES NOT RUN"
        else:
            yield f"{name:<11} up {_age(process['up'])}, {in_bytes(process['memory'])}, process {process['pid']}"
    if "error" in database:
        yield f"database    DOES NOT ANSWER: {database['error']}"
    else:
        dynos = ", ".join(f"{count} {state}" for state, count in sorted(database["dynos"].items())) or "none"
        builds = database["builds"]
        held = [name for name, state in database["leases"].items() if state == "held"]
        builds = f"{builds['running']} running, {builds['queued']} queued"
        yield f"apps        {database['apps']}; dynos: {dynos}; builds: {builds}"
        loops = f"{len(held)} of {len(database['leases'])} loops held"
        yield f"database    {database['kind']}, {in_bytes(database['size'])}; {loops}"
        for name, until in database["certificates"].items():
            yield f"certificate {name} ends on {until[:10]}"
    if "error" in store:
        yield f"store       DOES NOT ANSWER: {store['error']}"
    else:
        kinds = ", ".join(f"{count} {kind}" for kind, count in store["objects"].items()) or "nothing"
        yield f"store       {store['url']}: {kinds}"
    age = f"{_age((now - datetime.fromisoformat(backup['at'])).total_seconds())} old" if backup["at"] else "none yet"
    drill = f"; drill {'WENT WRONG' if backup['drill'] else 'good'}" if backup["drill_at"] else "; no drill yet"
    yield f"backup      {age}{'; THE LAST TRY FAILED' if backup['failed'] else ''}{drill}"
    taken = sorted(((size, name) for name, size in disk.items() if name in PLACES and size), reverse=True)
    yield f"disk        {in_bytes(disk['free'])} of {in_bytes(disk['total'])} free"
    yield f"            {', '.join(f'{name} {in_bytes(size)}' for size, name in taken[:8])}"
    if not found["to_do"]:
        yield "Nothing to do."
    for one in found["to_do"]:
        yield f" !    {one['name']}: {one['found']}"
        if one["advice"]:
            yield f"      {one['advice']}"


def _age(seconds: float) -> str:
    for length, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"


def in_bytes(size: int) -> str:
    for power, name in ((30, "GB"), (20, "MB")):
        if size >= 1 << power:
            return f"{size / (1 << power):.1f} {name}"
    return f"{size / 1024:.0f} KB"
