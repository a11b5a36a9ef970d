"""The database of the platform."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command

COMMANDS = (
    Command(
        "admin:migrate-database",
        "migrate_database:move",
        "move from SQLite to PostgreSQL (on the platform's machine, as root)",
        (Arg("url", True, "postgresql://user:password@host:5432/name, an empty database"),),
    ),
)
