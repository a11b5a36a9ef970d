"""bin/down: everything of an installation stops, and with `purge` goes."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from pogo.errors import PogoError
from pogo.install import caller as callers
from pogo.install import places, trust
from pogo.install.progress import line, step
from pogo.install.up import Installation, find
from pogo.process import run


class NotConfirmed(PogoError):
    """Nothing was removed."""


def down(checkout: Path, *, keep_dynos: bool, purge: bool, yes: bool) -> None:
    """keep_dynos: containers run on. purge: remove the installation; without `yes` the operator confirms it."""
    here = find(checkout)
    if purge and not yes:
        _confirm(here)
    with step("Platform") as say:
        here.supervisor.remove()
        say("stopped")
    if not keep_dynos or purge:
        with step("Dynos") as say:
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "POGO_CONFIG": str(here.config)}
            environment |= {name: value for name, value in os.environ.items() if name.startswith("POGO_")}
            run(here.environment / "bin" / "pogo-agent", "cleanup", env=environment, timeout=300)
            say("stopped")
    for name in ("pogod.sock", "haproxy.sock", "haproxy-master.sock", "router-log.sock"):
        (here.settings.run_dir / name).unlink(missing_ok=True)
    if purge:
        with step("State") as say:
            _purge(here)
            say("removed")
    else:
        line("bin/up brings it back as it was.")


def _confirm(here: Installation) -> None:
    state = here.settings.state_dir
    line(f"This removes all apps, releases, slugs, logs and users of {state}, for ever.")
    if not sys.stdin.isatty():
        raise NotConfirmed("Nothing was removed: bin/down --purge asks for a confirmation, or takes --yes.")
    if input(f"Type {state} to go on: ").strip() != str(state):
        raise NotConfirmed("Nothing was removed: that was another name.")


def _purge(here: Installation) -> None:
    settings = here.settings
    if here.caller.config.exists():
        callers.forget(here.caller, here.program, settings)
    callers.unlink(settings)
    trust.withdraw(settings)
    here.config.unlink(missing_ok=True)
    if here.default:
        places.remove_user(settings.user, settings.state_dir)
        with suppress(OSError):  # other files of the operator's are in it
            here.config.parent.rmdir()
    # The environment, from which this runs, last: a purge that is interrupted can then be called again.
    for place in settings.state_dir.iterdir():
        if place.name in ("envs", "env"):
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
    shutil.rmtree(settings.state_dir)
