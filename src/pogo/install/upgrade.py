"""bin/up as an upgrade: nothing older takes the place of what is there, and a backup comes before a new schema."""

from __future__ import annotations

import json
import pwd
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pogo import __version__
from pogo.errors import CommandFailed, PogoError
from pogo.install import places
from pogo.install.progress import Say
from pogo.process import run
from pogo.services.database import newest_revision
from pogo.settings import Settings

LONGEST_BACKUP = 6 * 3600


class Downgrade(PogoError):
    """An older version is about to take the place of a newer one."""


@dataclass(frozen=True)
class Installed:
    """version: of Pogoapp; schema: revision of its database. Both of what bin/up last began to install.

    backed_up_for: the schema for which a backup was taken already, by an upgrade that was interrupted.
    """

    version: str
    schema: str
    backed_up_for: str = ""


OURS = Installed(__version__, newest_revision())


def installed(settings: Settings) -> Installed | None:
    """None for an installation of before this was recorded, and for a new one. Raises PogoError."""
    file = _file(settings)
    try:
        return Installed(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise PogoError(
            f"{file} cannot be read: {error}. Remove it if nothing newer was ever installed here."
        ) from None


def there(recorded: Installed | None, schema: str | None) -> Installed | None:
    """What is installed, as far as it is on record, with the schema that the database has; None: nothing yet.

    Another host may have upgraded the database, and versions of before this was recorded have one, too.
    """
    if recorded is None:
        return Installed("0", schema) if schema is not None else None
    return replace(recorded, schema=max(recorded.schema, schema or ""))


def refuse_downgrade(there: Installed | None, ours: Installed = OURS) -> None:
    """Raises Downgrade. A schema is never taken back: rows of the new one would be lost."""
    if there is None or (_order(there.version) <= _order(ours.version) and there.schema <= ours.schema):
        return
    raise Downgrade(
        f"This is Pogoapp {ours.version} (database schema {ours.schema}); what is installed is newer: {there.version}"
        f" (schema {there.schema}). Nothing was changed, and what runs goes on running.\n"
        f"Run bin/up of a checkout of {there.version} or newer. To go back all the same, install this version elsewhere"
        " (POGO_STATE_DIR) and restore a backup from before the upgrade: docs/backups.md."
    )


def needs_backup(there: Installed, ours: Installed = OURS) -> bool:
    """Whether the schema will change under data."""
    return ours.schema not in (there.schema, there.backed_up_for)


def back_up(settings: Settings, config: Path, there: Installed, say: Say) -> None:
    """By the programs that are installed still: they know the schema that is there. Raises PogoError."""
    environment = settings.state_dir / "env"
    if not any(environment.glob("lib/python3*/site-packages/pogo/backup")):
        say("none: what is installed is of before there were backups")
        return
    python = environment / "bin" / "python"
    account = pwd.getpwnam(settings.user)
    identity = ("setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups", "--")
    variables = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "POGO_CONFIG": str(config)}
    program = (*identity, python, "-I", "-m", "pogo.backup", "take")
    try:
        found = json.loads(run(*program, env=variables, cwd=Path("/"), timeout=LONGEST_BACKUP))
    except CommandFailed as error:
        raise PogoError(
            "The backup before the upgrade failed, so nothing was changed, and what runs goes on running.\n"
            f"{error.stderr.strip()}\nMend that, then run bin/up again."
        ) from error
    record(settings, replace(there, backed_up_for=OURS.schema))
    say(str(found["name"]))


def record(settings: Settings, what: Installed = OURS) -> None:
    """Ours to be recorded before the schema is changed: from then on only this version, or a newer one, can go on."""
    places.write(_file(settings), json.dumps(asdict(what)) + "\n", mode=0o644)


def _order(version: str) -> tuple[int, ...]:
    """Of a version: numbers, compared one by one; what follows them (`rc1`) does not count."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _file(settings: Settings) -> Path:
    return settings.state_dir / "installed.json"
