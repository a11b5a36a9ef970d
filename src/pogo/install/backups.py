"""The operator's half of backups: the recovery key, a backup now, which there are, the drill."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pogo.backup import catalog, checking, contents, record, recovery
from pogo.backup.__main__ import OURS
from pogo.backup.checking import Checked
from pogo.backup.seal import BadRecoveryKey, RecoveryKey, key_id
from pogo.errors import CommandFailed, PogoError
from pogo.install import configuration, places, stores
from pogo.install.progress import line, step
from pogo.process import run
from pogo.settings import Settings

LONGEST = 6 * 3600.0


class DrillFailed(PogoError):
    """The backup is not good."""


def ensure_recovery(settings: Settings, user: pwd.struct_passwd) -> None:
    """Make the recovery key, which is never replaced, and seal for it what pogod cannot read."""
    file = recovery.key_file(settings)
    if not file.exists():
        places.write(file, f"{RecoveryKey.new().text}\n", mode=0o600)
    key = RecoveryKey.parse(file.read_text())
    places.write(recovery.public_file(settings), f"{key.public.hex()}\n", mode=0o644)
    packed = recovery.pack_root_files(settings, key)
    if packed is not None:
        places.write_bytes(recovery.root_files(settings), packed, mode=0o640, group=user.pw_gid)


def here() -> tuple[Settings, Path]:
    """The installation, for root. Raises PogoError."""
    config = Path(os.environ["POGO_CONFIG"])
    if os.geteuid() != 0:
        raise PogoError("This is done by root on the platform's own machine: sudo pogo …")
    if not config.is_file():
        raise PogoError(f"There is no installation here: {config} is missing. Run bin/up first.")
    return configuration.load(config, os.environ), config


def as_pogod(
    settings: Settings, config: Path, *verb: str, module: str = "pogo.backup", timeout: float = LONGEST
) -> Any:
    """What `python -m module` found, run as pogod's user. Raises PogoError with its message, CommandFailed."""
    account = pwd.getpwnam(settings.user)
    identity = ("setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups", "--")
    variables = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "POGO_CONFIG": str(config)}
    try:
        program = (*identity, sys.executable, "-I", "-m", module, *verb)
        return json.loads(run(*program, env=variables, cwd=Path("/"), timeout=timeout))
    except CommandFailed as error:
        if error.returncode == OURS:
            raise PogoError(error.stderr.strip()) from error
        raise


def own_key(settings: Settings) -> RecoveryKey:
    try:
        return RecoveryKey.parse(recovery.key_file(settings).read_text())
    except OSError as error:
        raise BadRecoveryKey(f"{recovery.key_file(settings)} cannot be read. Run bin/up: it makes it.") from error


def show_key() -> None:
    settings, _ = here()
    key = own_key(settings)
    line(key.text)
    if sys.stdout.isatty():
        line()
        line(f"Keep it somewhere else than on this machine (its id: {key_id(key.public)}). Without it no backup opens.")


def take() -> None:
    settings, config = here()
    with step("Backup") as say:
        found = as_pogod(settings, config, "take")
        say(f"{found['name']}  {_size(found['size'])}  {found['seconds']:.1f} s")


def show(*, as_json: bool) -> None:
    settings, config = here()
    rows, last = as_pogod(settings, config, "list"), record.read(settings)
    if as_json:
        print(json.dumps({"backups": rows, "last": vars(last)}, indent=2))
        return
    for row in rows:
        line(f"{row['name']}  {_size(row['size']):>8}  {_age(datetime.fromisoformat(row['taken_at']))} old")
    if not rows:
        line("There is no backup yet. One now: pogo admin:backup")
    if last.failed_at:
        line(f"The last try, {_age(datetime.fromisoformat(last.failed_at))} ago, failed: {last.why}")
    if last.drill_at:
        result = f"failed: {last.drill}" if last.drill else "went well"
        line(f"The last drill, {_age(datetime.fromisoformat(last.drill_at))} ago, {result}.")
    every = f"every {settings.backup_hours:g} hours" if settings.backup_hours else "not by itself (POGO_BACKUP_HOURS)"
    line(f"Taken {every}; the newest {settings.backups_kept} are kept. Recovery key: pogo admin:backup:key")


def drill(name: str, *, deep: bool, as_json: bool) -> None:
    """Raises DrillFailed, after it was recorded."""
    settings, _ = here()
    store = stores.opened(settings, None)
    began = time.monotonic()
    try:
        backup = catalog.find(store, name)
        size = store.size(backup.key)
        with sandbox(settings.state_dir) as directory, store.open(backup.key) as source:
            manifest = contents.unpack(source, own_key(settings), directory)
            found = checking.check(directory, manifest, store, deep=deep)
        if found.missing:
            key, wrong = min(found.missing.items())
            raise DrillFailed(
                f"{len(found.missing)} of {found.slugs} slugs of current releases are not good, as {key}: {wrong}."
            )
    except PogoError as error:
        record.drilled(settings, error.message)
        raise DrillFailed(f"The drill failed. {error.message}") from error
    record.drilled(settings, "")
    fields = {
        "name": backup.name, "age": round((datetime.now(UTC) - backup.at).total_seconds()), "size": size,
        "seconds": round(time.monotonic() - began, 1), "apps": len(found.apps), "rows": found.rows,
        "tables": found.tables, "secrets": found.secrets, "slugs": found.slugs, "deep": deep, "good": True,
    }  # fmt: skip
    if as_json:
        print(json.dumps(fields, indent=2))
        return
    line(f"{backup.name} is good: {_age(backup.at)} old, {_size(size)}, opened in {fields['seconds']} s.")
    line(told(found, deep=deep))


def told(found: Checked, *, deep: bool) -> str:
    how = "read and right" if deep else "in the store"
    return (
        f"{len(found.apps)} apps; {found.rows} rows of {found.tables} tables and {found.secrets} secrets read;"
        f" {found.slugs} slugs of current releases {how}."
    )


@contextmanager
def sandbox(state: Path) -> Iterator[Path]:
    """A directory of root's alone, which goes; what a killed one left goes, too."""
    for left in state.glob("drill.*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=state, prefix="drill.") as directory:
        yield Path(directory)


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.0f} kB"


def _age(at: datetime) -> str:
    age = max(datetime.now(UTC) - at, timedelta())
    if age.days >= 2:
        return f"{age.days} days"
    hours, minutes = int(age.total_seconds() // 3600), int(age.total_seconds() // 60)
    return f"{hours} h" if hours >= 2 else f"{minutes} min"
