"""doctor."""

from __future__ import annotations

import os
import sys

from pogo.cli.context import Context
from pogo.cli.errors import CliError


def examine(context: Context) -> None:
    """Hand over to what bin/up uses on this machine. Raises CliError for anyone but root."""
    if os.geteuid() != 0:
        raise CliError("The doctor looks at the platform's own machine and tries its kernel.\nRun it there with sudo.")
    sys.stdout.flush()
    arguments = [sys.executable, "-I", "-m", "pogo.install", "doctor"]
    os.execv(sys.executable, [*arguments, *(["--json"] if context.on("json") else [])])  # noqa: S606
