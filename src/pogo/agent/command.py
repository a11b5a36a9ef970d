"""The command `pogo-agent`: serve, or clean up."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from pogo.agent import installation as installations
from pogo.agent import server
from pogo.errors import PogoError
from pogo.log_pipe import never_wait_for_the_log


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="pogo-agent",
        description="The root half of Pogoapp. Settings: POGO_STATE_DIR, POGO_USER, POGO_SUBNET, POGO_UID_BASE,"
        " POGO_MAX_APPS, POGO_BUILDPACKS_DIR, from the environment or the file that POGO_CONFIG names.",
    )
    parser.add_argument("action", nargs="?", choices=("serve", "cleanup"), default="serve")
    options = parser.parse_args()
    try:
        if os.geteuid() != 0:
            raise PogoError("pogo-agent has to be started by root.")
        installation = installations.load(with_config(os.environ, Path(sys.prefix)))
        if options.action == "cleanup":
            from pogo.agent.cleaning import cleanup

            cleanup(installation)
        else:
            never_wait_for_the_log()
            server.Agent(installation).serve()
    except PogoError as error:
        sys.exit(f"pogo-agent: {error}")


def with_config(environ: Mapping[str, str], prefix: Path) -> dict[str, str]:
    """The environment with POGO_CONFIG, found by where this program lies if nobody has given it.

    A Python environment of bin/up is `<state>/envs/<hash>`; the settings of any but the default
    installation are in `<state>/pogo.conf`.
    """
    own = prefix.resolve().parents[1] / "pogo.conf"
    return {**({"POGO_CONFIG": str(own)} if _is_ours(own) else {}), **environ}


def _is_ours(file: Path) -> bool:
    """Whether it is there and belongs to whoever runs this: in the state directory, pogod makes files too."""
    try:
        there = file.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(there.st_mode) and there.st_uid in (0, os.geteuid())
