"""`python -m pogo.stack build NAME`: what bin/up does for every stack, for one; `pogo stack:build` comes here."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pogo.agent.command import with_config
from pogo.agent.installation import read_settings
from pogo.errors import PogoError
from pogo.stack import image


def main() -> None:
    settings = read_settings(with_config(os.environ, Path(sys.prefix)))
    parser = argparse.ArgumentParser(prog="pogo.stack")
    parser.add_argument("verb", choices=["build"])
    parser.add_argument("name")
    parser.add_argument("--cache", type=Path, default=Path(settings.get("POGO_CACHE_DIR", image.CACHE_DIR)))
    parser.add_argument("--state", type=Path, default=Path(settings.get("POGO_STATE_DIR", "/var/lib/pogo")))
    parser.add_argument("--fresh", action="store_true", help="build anew, with Debian's updates of today")
    options = parser.parse_args()
    try:
        built = image.build(options.name, options.cache, options.state, _say, fresh=options.fresh)
    except PogoError as error:
        sys.exit(f"pogo.stack: {error}")
    _say(f"{options.name} is {built.resolve().name}. Apps take it when they restart.")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
