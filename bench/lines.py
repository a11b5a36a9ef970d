"""Lines that reach the app's log, of dynos that print without a pause. What is lost has to be counted (L10)."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from pathlib import Path

from installation import Installation
from wreckage import answered

from pogo.logs import Filter, segments

APP = "bench-lines"
DYNOS = 10
EACH = 200_000
LONGEST = 300
PRINT = f"""perl -e 'for (1..{EACH}) {{ print "line $_ of the output of a talkative dyno\\n" }} $| = 1; sleep'"""


def measure(platform: Installation) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "Procfile").write_text(f"talker: {PRINT}\n")
        work = platform.create(Path(directory), APP)
    platform.push(work)
    platform.pogo("ps:scale", f"talker={DYNOS}", "-a", APP)
    stored, lost, seconds = _watch(platform)
    total = DYNOS * EACH
    print(f"  {stored:,} of {total:,} lines stored in {seconds:.1f} s: {stored / seconds:,.0f} lines/s")
    print(f"  counted as lost (L10): {lost:,}   not accounted for: {total - stored - lost:,}")
    platform.pogo("destroy", "-a", APP, "--confirm", APP)


def _watch(platform: Installation) -> tuple[int, int, float]:
    """Lines stored, lines counted as lost, seconds from the first to the last of them."""
    directory = platform.state / "logs" / answered(platform, f"/apps/{APP}")["id"]
    began, size, changed = time.monotonic(), 0, time.monotonic()
    first = 0.0
    while time.monotonic() - changed < 5 or not first:
        assert time.monotonic() - began < LONGEST, "the log grows and grows"
        now = sum(path.stat().st_size for path in directory.glob("*.log"))
        if now - size > 10_000:
            first, changed = first or time.monotonic(), time.monotonic()
        size = now
        time.sleep(0.05)
    seen: Counter[str] = Counter()
    for number in segments.numbers(directory):
        for raw in segments.path(directory, number).read_bytes().split(b"\n"):
            line = segments.decode(raw, Filter())
            if line and line.text.startswith("line "):
                seen["stored"] += 1
            elif line and (match := re.search(r"L10 .*: (\d+) messages", line.text)):
                seen["lost"] += int(match[1])
    return seen["stored"], seen["lost"], changed - first
