"""The database of the platform."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command

COMMANDS = (
    Command(
        "admin:migrate-database",
        "migrate_database:move",
        "move from SQLite to PostgreSQL (on the platform's machine, as root)",
        (Arg("url", help="of an empty database, without a password; asked for, or read from stdin, if none is given"),),
    ),
)
