"""Backups, keys and state of the installation. On the platform's own machine, as root."""

from __future__ import annotations

from pogo.cli.parser import Arg, Command, Flag
from pogo.cli.table.flags import JSON

COMMANDS = (
    Command("admin:backup", "backups:take", "take a backup now (on the platform's machine, as root)"),
    Command("admin:backup:key", "backups:key", "show the recovery key, to be kept elsewhere"),
    Command("admin:backups", "backups:show", "list the backups, and how the last one went", (), (JSON,)),
    Command(
        "admin:drill",
        "backups:drill",
        "try whether a backup could be restored; status 1 if not",
        (Arg("name", help="of a backup; the newest if none is given"),),
        (Flag("deep", help="read all slugs of current releases, too"), JSON),
    ),
    Command("admin:keys:rotate", "backups:rotate", "put all secrets under a new key"),
    Command(
        "admin:reclaim",
        "backups:reclaim",
        "delete what nothing needs any more, and say what that brought",
        (),
        (Flag("caches", help="build caches, too: the next build of each app is slower"), JSON),
    ),
    Command("admin:status", "backups:status", "what runs, what it takes, and what to do", (), (JSON,)),
    Command(
        "admin:restore",
        "backups:restore",
        "make this platform that of a backup (docs/backups.md)",
        (Arg("name", help="of a backup; the newest if none is given"),),
        (
            Flag("file", help="a backup that was copied here", option=True),
            Flag("incomplete", help="although slugs are missing in the store"),
            Flag("replace", help="although this platform has apps"),
        ),
    ),
)
