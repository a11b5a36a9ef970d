"""admin:backup…, drill, restore, keys:rotate, status, reclaim: on the platform's own machine, as root."""

from __future__ import annotations

import os
import sys

from pogo.cli.context import Context
from pogo.cli.errors import CliError


def take(context: Context) -> None:
    _hand_over(context, "backup")


def key(context: Context) -> None:
    _hand_over(context, "recovery-key")


def show(context: Context) -> None:
    _hand_over(context, "backups")


def drill(context: Context) -> None:
    _hand_over(context, "drill")


def restore(context: Context) -> None:
    _hand_over(context, "restore")


def rotate(context: Context) -> None:
    _hand_over(context, "rotate-keys")


def status(context: Context) -> None:
    _hand_over(context, "status")


def reclaim(context: Context) -> None:
    _hand_over(context, "reclaim")


def _hand_over(context: Context, verb: str) -> None:
    """To what bin/up uses on this machine. Raises CliError for anyone but root."""
    if os.geteuid() != 0:
        raise CliError("Only root may do this, on the platform's own machine.\nRun it there with sudo.")
    sys.stdout.flush()
    flags = [f"--{name}" if value is True else f"--{name}={value}" for name, value in context.flags.items()]
    arguments = [sys.executable, "-I", "-m", "pogo.install", verb, *flags, *context.args.values()]
    os.execv(sys.executable, arguments)  # noqa: S606
