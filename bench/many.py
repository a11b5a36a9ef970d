"""A thousand idle dynos: how fast they boot, what they cost, and what a boot costs beside them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from installation import Installation

from bench import boot, by_hand
from bench.table import show

APP = "bench-idle"
EACH = 100  # dynos of an app
SOME = 200
MOST = int(os.environ.get("BENCH_DYNOS", "1000"))
ROUNDS = 20
REST = 30
SETTLE = 15
LONGEST = 900
TICKS = os.sysconf("SC_CLK_TCK")


def measure(platform: Installation) -> None:
    count = -(-MOST // EACH)
    for number in range(count):
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "Procfile").write_text("idle: exec sleep infinity\n")
            platform.push(platform.create(Path(directory), f"{APP}{number}"))
    found: dict[str, list[float]] = {}
    free = _free()
    with tempfile.TemporaryDirectory() as directory, by_hand.root(boot.image(platform), Path(directory)) as root:
        bare = (*boot.NAMESPACES, "chroot", str(root), "/bin/sh", "-c", "echo up")
        there = 0
        for wanted in (0, SOME, MOST):
            seconds = _fill(platform, there, wanted)
            if wanted:
                print(f"  {there} to {wanted} dynos in {seconds:.1f} s: {(wanted - there) / seconds:.1f} boots/s")
            there = wanted
            time.sleep(SETTLE)
            for _ in range(ROUNDS):
                found.setdefault(f"a dyno beside {wanted}", []).append(asyncio.run(boot.first_output(platform)))
                found.setdefault(f"bare namespaces beside {wanted}", []).append(_bare(bare))
    show(found, "ms")
    print(f"  memory of the machine for one idle dyno      {(free - _free()) / MOST / 1024:8.2f} MB")
    for name, kilobytes in _memory(platform).items():
        print(f"  {name:<44} {kilobytes / 1024:8.2f} MB (PSS)")
    time.sleep(SETTLE)
    for name, percent in _at_rest(platform).items():
        print(f"  {name:<44} {percent:8.2f} % of a core")
    began = time.monotonic()
    for number in range(count):
        platform.pogo("destroy", "-a", f"{APP}{number}", "--confirm", f"{APP}{number}")
    while _running(platform):
        assert time.monotonic() - began < LONGEST, "some dynos do not end"
        time.sleep(0.5)
    print(f"  {MOST} to 0 dynos in {time.monotonic() - began:.1f} s")


def _fill(platform: Installation, there: int, wanted: int) -> float:
    """Seconds until so many dynos are up."""
    began = time.monotonic()
    for number in range(there // EACH, -(-wanted // EACH)):
        platform.pogo("ps:scale", f"idle={min(EACH, wanted - number * EACH)}", "-a", f"{APP}{number}")
    while _up(platform, wanted) < wanted:
        assert time.monotonic() - began < LONGEST, f"{wanted} dynos do not come up"
        time.sleep(0.5)
    return time.monotonic() - began


def _up(platform: Installation, wanted: int) -> int:
    """How many are up, by the API; asked only once so many containers are there, so that asking does not slow them."""
    if len(_running(platform)) < wanted:
        return 0
    shown = [json.dumps(platform.pogo_json("ps", "-a", f"{APP}{n}")) for n in range(-(-wanted // EACH))]
    return sum(text.count('"state": "up"') for text in shown)


def _running(platform: Installation) -> list[Path]:
    return [place for place in (platform.state / "run" / "c").glob("idle-*") if not (place / "exit").exists()]


def _bare(command: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def _free() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def _monitors(platform: Installation) -> list[int]:
    return [int((place / "pid").read_text()) for place in _running(platform)]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _memory(platform: Installation) -> dict[str, float]:
    """KB of helpers for one dyno: its monitor, and LXC's two processes."""
    monitors = _monitors(platform)
    lxc = [child for pid in monitors for child in _children(pid)]
    lxc += [child for pid in lxc for child in _children(pid) if _name(child) == "lxc-execute"]
    own, foreign = sum(map(_pss, monitors)) / len(monitors), sum(map(_pss, lxc)) / len(monitors)
    return {"helpers of a dyno": own + foreign, "of it its monitor": own, "of it LXC": foreign}


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _at_rest(platform: Installation) -> dict[str, float]:
    """Percent of a core that the parts take, with what their ended children took."""
    router = platform.pid("router")
    parts = {
        "pogod at rest": [platform.pid("pogod")],
        "agent at rest": [platform.pid("agent")],
        "router at rest": [router, *_children(router)],
        "all monitors at rest": _monitors(platform),
    }
    before = {name: sum(map(_ticks, pids)) for name, pids in parts.items()}
    time.sleep(REST)
    found = {name: (sum(map(_ticks, pids)) - before[name]) * 100 / TICKS / REST for name, pids in parts.items()}
    return {**found, "platform at rest": sum(found.values())}


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])
