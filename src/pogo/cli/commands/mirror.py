"""mirror, mirror:log, mirror:prefetch: handed over to pogo-mirror on the platform's machine."""

from __future__ import annotations

import os
import sys

from pogo.cli.context import Context
from pogo.cli.errors import CliError


def show(context: Context) -> None:
    _hand_over("status")


def log(context: Context) -> None:
    given = {f"--{name}": context.flags.get(name) for name in ("app", "num")}
    flags = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    _hand_over("log", *flags, *(["--tail"] if context.on("tail") else []))


def prefetch(context: Context) -> None:
    if not context.rest:
        raise CliError("Say what is to be fetched, as node@22 or python@3.12. Known are: see pogo mirror.")
    _hand_over("prefetch", *context.rest)


def _hand_over(*words: str) -> None:
    """Raises CliError for anyone but root: where builds go is the operator's to know."""
    if os.geteuid() != 0:
        raise CliError("The mirror is looked after by root on the platform's machine.\nRun it there with sudo.")
    program = os.path.join(os.path.dirname(sys.executable), "pogo-mirror")
    if not os.access(program, os.X_OK):
        raise CliError(f"There is no pogo-mirror at {program}.\nThe mirror runs on the platform's own machine.")
    sys.stdout.flush()
    os.execv(program, [program, *words])  # noqa: S606
