"""The command `pogo-mirror`: serve, and what the operator asks with `pogo mirror…`."""

from __future__ import annotations

import argparse
import asyncio
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pogo.agent.command import with_config
from pogo.errors import PogoError

if TYPE_CHECKING:
    from pogo.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="pogo-mirror", description="The proxy of builds. See docs/mirror.md.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("serve", help="serve builds; the platform's supervisor calls it")
    actions.add_parser("status", help="what it does and what it has")
    show = actions.add_parser("log", help="where builds went")
    show.add_argument("-a", "--app", default="")
    show.add_argument("-n", "--num", type=int, default=100)
    show.add_argument("-t", "--tail", action="store_true")
    fetch = actions.add_parser("prefetch", help="make what builds will ask for")
    fetch.add_argument("tools", nargs="+", metavar="tool@version")
    options = parser.parse_args()
    os.environ.update(with_config(os.environ, Path(sys.prefix)))
    from pogo.settings import Settings  # reads POGO_CONFIG when it is imported

    try:
        settings = Settings()
        become(settings.user)
        _act(settings, options)
    except PogoError as error:
        sys.exit(f"pogo-mirror: {error.message}")
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)  # nothing is to be flushed: who read it has gone


def _act(settings: Settings, options: argparse.Namespace) -> None:
    from pogo.mirror import daemon, operator

    if options.action == "serve":
        daemon.serve(settings)
    elif options.action == "status":
        operator.status(settings)
    elif options.action == "log":
        operator.show_log(settings.mirror_dir, options.app, options.num, tail=options.tail)
    else:
        asyncio.run(operator.prefetch(settings, options.tools))


def become(user: str) -> None:
    """Go on as the platform's user: what root made here, the service could not replace."""
    if os.geteuid() != 0:
        return
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise PogoError(f"There is no user {user} (POGO_USER). Run bin/up first.") from None
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
