"""Moves an installation from SQLite to PostgreSQL: `pogo admin:migrate-database`.

pogod stands still meanwhile; dynos and the router go on. Whatever is killed when: until the settings are written
the installation has SQLite, whose file nobody changes, and the command may be run again.
"""

from __future__ import annotations

import getpass
import json
import os
import pwd
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from pogo.errors import PogoError
from pogo.install import configuration, parts, places
from pogo.install.progress import line, step
from pogo.install.supervision import Supervisor
from pogo.process import run
from pogo.services import postgres
from pogo.settings import Settings


class NotMoved(PogoError):
    """The database cannot be moved."""


def asked(url: str | None) -> str:
    """The URL: as given, or else read, without showing it, from the terminal or standard input. Raises NotMoved."""
    if url is None:
        if sys.stdin.isatty():
            return getpass.getpass("URL of the PostgreSQL database (not shown): ").strip()
        return sys.stdin.readline().strip()
    _check_url(url)
    if make_url(url).password:
        raise NotMoved(
            "A password in the command line can be read by everybody on this machine (ps). Leave the URL out: it is"
            " asked for then, or read from standard input."
        )
    return url


def move(url: str) -> None:
    """url: `postgresql://user:password@host:port/name`, of an empty database."""
    settings, config = Settings(), Path(os.environ["POGO_CONFIG"])
    _check_url(url)
    if os.geteuid() != 0:
        raise NotMoved("Moving the database stops and starts pogod, so it has to be done as root: sudo pogo …")
    if not config.is_file():
        raise NotMoved(f"There is no installation here: {config} is missing. Run bin/up first.")
    supervisor = parts.supervisor(settings, Path(sys.prefix))
    if settings.database_url:
        _go_on(settings, supervisor, url)
        return
    postgres.check(url)
    text = configuration.recorded(config.read_text(), {"POGO_DATABASE_URL": url})
    wishes = {"url": url, "origin": settings.tag, "finish": False}
    with step("Database") as say:
        say("stopping pogod")
        supervisor.stop("pogod")
        try:
            say("copying")
            rows = _as_user(settings, config, wishes)["rows"]
            places.write(config, text, mode=0o640, group=pwd.getpwnam(settings.user).pw_gid)
        except BaseException:
            supervisor.start("pogod")
            raise
        say("starting pogod")
        _as_user(settings, config, {**wishes, "finish": True})
        _start(config, supervisor)
        say(f"{sum(rows.values())} rows of {len(rows)} tables, each compared")
    line(f"The database is {_shown(url)} now, as {config} says.")
    line(f"The old one is still at {settings.database.removeprefix('sqlite:///')}; remove it when you like.")


def _check_url(url: str) -> None:
    try:
        good = postgres.is_postgres(url) and bool(make_url(url).database)
    except ArgumentError:
        good = False
    if not good:
        raise NotMoved("That is no PostgreSQL database. Name one: postgresql://user:password@host:5432/name")


def _go_on(settings: Settings, supervisor: Supervisor, url: str) -> None:
    """A run that was killed after it had written the settings comes to its end."""
    if settings.database_url != url:
        raise NotMoved(f"The installation has {_shown(settings.database_url)} already: only SQLite can be moved.")
    config = Path(os.environ["POGO_CONFIG"])
    _as_user(settings, config, {"url": url, "origin": settings.tag, "finish": True})
    if supervisor.pid("pogod") is None:
        _start(config, supervisor)
    line(f"The database is {_shown(url)} already.")


def _start(config: Path, supervisor: Supervisor) -> None:
    services = parts.services(Settings(), Path(sys.prefix).resolve(), config)
    supervisor.install(services)
    supervisor.start("pogod")


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


def _as_user(settings: Settings, config: Path, wishes: dict[str, Any]) -> dict[str, Any]:
    """As pogod's user, so that files beside SQLite's stay that user's; the password goes by stdin."""
    account = pwd.getpwnam(settings.user)
    identity = ("setpriv", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups", "--")
    python = (sys.executable, "-I", "-m", "pogo.install.database_copy")
    variables = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "POGO_CONFIG": str(config)}
    found: dict[str, Any] = json.loads(
        run(*identity, *python, input=json.dumps(wishes).encode(), env=variables, cwd=Path("/"), timeout=86400)
    )
    return found
