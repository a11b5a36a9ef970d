"""`python -m pogo.install up|down`, called by bin/up and bin/down."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pogo.errors import PogoError
from pogo.install.down import down
from pogo.install.up import up


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/up or bin/down")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("up", "down"):
        verbs.add_parser(verb, prog=f"bin/{verb}").add_argument("--checkout", type=Path, required=True)
    verbs.choices["down"].add_argument("--keep-dynos", action="store_true", help="let the containers run on")
    verbs.choices["down"].add_argument("--purge", action="store_true", help="remove the installation with all apps")
    verbs.choices["down"].add_argument("--yes", action="store_true", help="do not ask before removing")
    options = parser.parse_args()
    try:
        if options.verb == "up":
            up(options.checkout)
        else:
            down(options.checkout, keep_dynos=options.keep_dynos, purge=options.purge, yes=options.yes)
    except PogoError as error:
        print("\n" + "\n".join(f" !    {row}" for row in error.message.splitlines()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n !    Interrupted. The next bin/{options.verb} goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
