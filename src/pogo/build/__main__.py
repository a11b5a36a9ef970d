"""`python3 -sP -m pogo.build compile` and `… pack`; see the package."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

from pogo.build import compile as compile_half
from pogo.build import pack as pack_half
from pogo.build.failures import DISK_FULL, AppFault, DiskFull, PlatformFault, show
from pogo.build.request import Places, Request


def main(arguments: list[str], places: Places | None = None) -> int:
    """Run one half of a build; returns the exit status. Every failure is printed, none is raised."""
    if arguments not in (["compile"], ["pack"]):
        print("usage: python3 -sP -m pogo.build compile|pack", file=sys.stderr)
        return 2
    places = places or Places()
    try:
        try:
            if arguments == ["compile"]:
                compile_half.run(Request.load(places.inputs / "build.json"), places)
            else:
                pack_half.run(places)
        except OSError as error:
            raise (DiskFull() if error.errno in DISK_FULL else PlatformFault(f"The build broke: {error}")) from error
        except Exception as error:
            if isinstance(error, AppFault):
                raise
            traceback.print_exc()
            raise PlatformFault(f"The build broke: {error!r}") from error
    except AppFault as fault:
        show(fault)
        return fault.status
    return 0


def end_leftovers() -> None:
    """Kill what buildpacks left running: the container ends only when all in it have. Does nothing elsewhere."""
    if os.getuid() != 1000 or not Path("/pogo/lib/pogo").is_dir():
        return
    for _ in range(200):
        try:
            os.kill(-1, signal.SIGKILL)  # in this pid namespace, all but its init and this process
        except ProcessLookupError:
            return
        time.sleep(0.01)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    end_leftovers()
    sys.exit(status)
