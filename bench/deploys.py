"""A hundred git pushes of an app with two dynos, beside constant requests: how many failed."""

from __future__ import annotations

import os
import time

from installation import Installation
from load import Load
from small_apps import change, make, small

DEPLOYS = int(os.environ.get("BENCH_ROUNDS", "100"))
APP = "bench-deploys"


def measure(platform: Installation) -> None:
    work = make(platform, APP, small("v0"))
    platform.push(work)
    platform.pogo("ps:scale", "web=2", cwd=work)
    while platform.pogo("ps", cwd=work).count(": up ") < 2:
        time.sleep(0.1)
    began = time.monotonic()
    with Load(platform, APP) as load:
        for number in range(1, DEPLOYS + 1):
            change(platform, work, small(f"v{number}"))
            while not platform.get(APP).body.startswith(f"v{number} "):
                time.sleep(0.02)
        seconds = time.monotonic() - began
    print(f"  {DEPLOYS} deploys in {seconds:.0f} s ({DEPLOYS * 60 / seconds:.0f} a minute)")
    print(
        f"  {load.requests} requests beside them ({load.requests / seconds:.0f} a second), {len(load.failures)} failed"
    )
    for failure in load.failures[:10]:
        print(f"    {failure}")
    platform.pogo("destroy", "-a", APP, "--confirm", APP)
