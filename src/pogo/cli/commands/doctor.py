"""doctor, admin:migrate-store: what is done on the platform's own machine."""

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


def migrate_store(context: Context) -> None:
    """As `examine`: this needs the files of the installation, which the API does not give."""
    if os.geteuid() != 0:
        raise CliError("The store is moved on the platform's own machine.\nRun it there with sudo -E.")
    sys.stdout.flush()
    flags = [f"--{name}={value}" for name in ("endpoint", "region", "ca") if (value := context.option(name))]
    arguments = [sys.executable, "-I", "-m", "pogo.install", "migrate-store", *flags, context.args["url"]]
    os.execv(sys.executable, arguments)  # noqa: S606
