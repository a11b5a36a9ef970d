"""The one table of commands, a module per topic. Ids, aliases, flags and arguments are the official client's; a test
compares them.

It is data alone, so that a command imports only its own module. What of the official client is left out, and what
is ours, stands in `pogo.cli.upstream`.
"""

from __future__ import annotations

from pogo.cli.parser import Command
from pogo.cli.table import apps, backups, database, deploys, dynos, hosts, installation, people, teamwork

COMMANDS = tuple(
    sorted(
        (
            *apps.COMMANDS,
            *backups.COMMANDS,
            *database.COMMANDS,
            *deploys.COMMANDS,
            *dynos.COMMANDS,
            *hosts.COMMANDS,
            *installation.COMMANDS,
            *people.COMMANDS,
            *teamwork.COMMANDS,
        ),
        key=lambda command: command.id,
    )
)


def by_name() -> dict[str, Command]:
    """Every command by its id and by each alias."""
    return {name: command for command in COMMANDS for name in (command.id, *command.aliases)}
