"""admin:migrate-database."""

from __future__ import annotations

import os
import sys

from pogo.cli.context import Context
from pogo.cli.errors import CliError


def move(context: Context) -> None:
    """Hand over to what bin/up uses on this machine. Raises CliError for anyone but root."""
    if os.geteuid() != 0:
        raise CliError("This stops and starts parts of the platform.\nRun it on its own machine with sudo.")
    sys.stdout.flush()
    arguments = [sys.executable, "-I", "-m", "pogo.install", "migrate-database", *context.args.values()]
    os.execv(sys.executable, arguments)  # noqa: S606
