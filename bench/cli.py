"""Commands of `pogo` and of the official client against the same platform, in turns."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

from installation import Installation

from bench.table import show

ROUNDS = 15
CACHED = Path("/var/cache/pogo/heroku-cli/node_modules/.bin/heroku")
WANTED = 8  # times as fast as the official client
APP = "bench-cli"
COMMANDS = (("apps",), ("ps", "-a", APP), ("config", "-a", APP), ("--version",))


def measure(platform: Installation) -> None:
    """Wall time of whole processes. Prints how often `pogo` ends while the official client does once."""
    official = shutil.which("heroku") or str(CACHED)
    if not Path(official).exists():
        print("  the official client is not here: bin/test e2e installs it, or npm install -g heroku")
        return
    platform.pogo("create", APP)
    ours = str(platform.state / "bin" / "pogo")
    environment = platform.environment | dict(re.findall(r"^export (\w+)='?(.*?)'?$", platform.pogo("env"), re.M))
    for command in COMMANDS:
        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, program in (("pogo", ours), ("heroku", official)):
                row = " ".join([name, *command])
                times.setdefault(row, []).append(_milliseconds([program, *command], environment))
        show(times, "ms")
        fast, slow = (median(values) for values in times.values())
        print(f"  pogo {' '.join(command)} is {slow / fast:.1f} times as fast (wanted for apps: {WANTED})")


def _milliseconds(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return (time.perf_counter() - began) * 1000
