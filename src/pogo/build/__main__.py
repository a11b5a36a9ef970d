"""`python3 -sP -m pogo.build compile` and `… pack`; see the package."""

from __future__ import annotations

import sys
import traceback

from pogo.build import compile as compile_half
from pogo.build import pack as pack_half
from pogo.build.failures import DISK_FULL, AppFault, DiskFull, PlatformFault, show
from pogo.build.request import Places, Request

HALVES = {"compile": compile_half.run, "pack": pack_half.run}


def main(arguments: list[str], places: Places | None = None) -> int:
    """Run one half of a build; returns the exit status. Every failure is printed, none is raised."""
    if len(arguments) != 1 or arguments[0] not in HALVES:
        print("usage: python3 -sP -m pogo.build compile|pack", file=sys.stderr)
        return 2
    places = places or Places()
    try:
        try:
            HALVES[arguments[0]](Request.load(places.inputs / "build.json"), places)
        except OSError as error:
            raise (DiskFull() if error.errno in DISK_FULL else PlatformFault(f"The build broke: {error}")) from error
        except (ValueError, KeyError) as error:
            traceback.print_exc()
            raise PlatformFault(f"The build broke: {error!r}") from error
    except AppFault as fault:
        show(fault)
        return fault.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
