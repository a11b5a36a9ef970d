"""`git push` of apps with dependencies: the first one, one without a change of them, a config change until it is live.

Beside it the same pack by hand (bench/by_hand.py): untar, compile, tar.gz, untar, without any isolation.
And an app of 260 MB: how long its slug takes.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

from installation import CHECKOUT, Installation

from bench import by_hand
from bench.table import show
from pogo.settings import Settings

APPS = (("flask", "python"), ("express", "nodejs"), ("rails", "ruby"))
ROUNDS = 3
LARGE_MB = 260


def measure(platform: Installation) -> None:
    for name, pack in APPS:
        if (CHECKOUT / "examples" / name).is_dir():
            _app(platform, name, pack)
    _large(platform)


def _app(platform: Installation, name: str, pack: str) -> None:
    app = f"bench-{name}"
    work = platform.create(CHECKOUT / "examples" / name, app)
    environment = Settings(state_dir=platform.state).build_environment()
    image = (platform.state / "stacks" / "pogo-13" / "current").resolve()
    first: dict[str, list[float]] = {"by hand: untar, compile, tar.gz, untar": [], "git push until it is live": []}
    again: dict[str, list[float]] = {name: [] for name in first}
    hand, ours = first
    said = ""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory, by_hand.root(image, Path(directory)) as root:
        by_hand.prepare(root, CHECKOUT / "buildpacks" / pack)
        first[hand].append(by_hand.build(root, work, environment))
        first[ours].append(_push(platform, work)[0])
        for number in range(ROUNDS):
            (work / "number").write_text(str(number))
            platform.commit(work, "next")
            again[hand].append(by_hand.build(root, work, environment))
            seconds, said = _push(platform, work)
            again[ours].append(seconds)
    live = {"config:set until the new dyno answers": [_configure(platform, app, n) for n in range(ROUNDS)]}
    print(f" {name}, first push")
    show(first, "s")
    print(f" {name}, same dependencies")
    show(again, "s")
    _where(said)
    show(live, "s")
    platform.pogo("destroy", "-a", app, "--confirm", app)


def _push(platform: Installation, work: Path) -> tuple[float, str]:
    began = time.perf_counter()
    said = platform.push(work)
    return time.perf_counter() - began, said


def _where(said: str) -> None:
    """The line in which the build says where its seconds went."""
    if found := re.search(r"remote: +(Built in .*)", said):
        print(f"  {found[1].strip()}")


def _configure(platform: Installation, app: str, number: int) -> float:
    """Until `pogo ps` shows the dyno of the new release up; config:set itself is part of it."""
    began = time.perf_counter()
    version = re.search(r"\bv(\d+)", platform.pogo("config:set", f"N={number}", "-a", app))
    assert version
    while True:
        dynos = platform.pogo_json("ps", "-a", app)
        assert isinstance(dynos, list)
        if any(one["state"] == "up" and one["release"]["version"] == int(version[1]) for one in dynos):
            return time.perf_counter() - began
        time.sleep(0.02)


def _large(platform: Installation) -> None:
    """Half text that packs well, half bytes that do not."""
    work = platform.create(CHECKOUT / "examples" / "procfile", "bench-large")
    text = (CHECKOUT / "README.md").read_bytes() * 200
    for number in range(LARGE_MB // 2):
        (work / f"noise-{number}").write_bytes(os.urandom(1 << 20))
        (work / f"text-{number}").write_bytes((text * ((1 << 20) // len(text) + 1))[: 1 << 20])
    platform.commit(work, "large")
    seconds, said = _push(platform, work)
    print(f" {LARGE_MB} MB without a pack: git push {seconds:.1f} s")
    _where(said)
    platform.pogo("destroy", "-a", "bench-large", "--confirm", "bench-large")
