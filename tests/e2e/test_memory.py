"""The memory quota: more than it is warned of (R14), twice as much is killed (R15); on a size of the operator's."""

from __future__ import annotations

import subprocess

from installation import Installation
from small_apps import make
from waiting import eventually

# The size: 64 MB, see `Installation.settings`.
EAT = """
import os, sys, time
kept = bytearray(os.urandom(1 << 20)) * int(sys.argv[1])
print("quota", int(open("/sys/fs/cgroup/memory/memory.limit_in_bytes").read()) >> 20, flush=True)
print("available", os.environ["MEMORY_AVAILABLE"], flush=True)
time.sleep(1000)
"""
PROCFILE = "web: sleep 1000\nwarned: python3 eat.py 88\nkilled: python3 eat.py 150\n"


def test_a_dyno_above_its_quota_is_warned_and_one_at_twice_is_killed(platform: Installation) -> None:
    work = make(platform, "hungry", {"Procfile": PROCFILE, "eat.py": EAT, "requirements.txt": ""})
    platform.push(work)
    assert "small" in platform.pogo("ps:type", "web=small", "--app", "hungry")
    platform.pogo("ps:scale", "web=0", "warned=1:small", "killed=1:SMALL", "--app", "hungry")
    # Beside them, since the memory of all is looked at every 20 seconds.
    one_off = subprocess.Popen(
        ["pogo", "run", "--app", "hungry", "--size", "small", "--exit-code", "--no-tty", "python3 eat.py 150"],
        cwd=work,
        env=platform.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )

    eventually(lambda: "(SIGKILL, R15)" in platform.pogo("ps", "--app", "hungry"))
    log = platform.pogo("logs", "--app", "hungry", "--num", "500")
    killed = [line.split(": ", 1)[1] for line in log.splitlines() if "heroku[killed.1]" in line]
    first = killed.index("Process running mem=128M(200.0%)")
    assert killed[first + 1 : first + 4] == [
        "Error R15 (Memory quota vastly exceeded)",
        "Stopping process with SIGKILL",
        "Process exited with status 137",
    ]

    def warned() -> str:
        return platform.pogo("logs", "--app", "hungry", "--num", "500", "--dyno-name", "warned.1")

    eventually(lambda: "Error R14 (Memory quota exceeded)" in warned())
    text = warned()
    assert "quota 64\n" in text
    assert "available 64\n" in text
    assert "crashed" not in text
    assert "warned.1: up" in platform.pogo("ps", "--app", "hungry")

    assert one_off.wait(120) == 137
    platform.pogo("apps:destroy", "hungry", "--confirm", "hungry")


def test_sizes_are_checked_before_anything_is_changed(platform: Installation) -> None:
    before = (platform.state / "pogo.conf").read_text()
    done = platform.call("bin/up", cwd=platform.checkout, env={**platform.settings, "POGO_SIZES": "small:64"})
    assert done.returncode == 1
    assert "POGO_SIZES=small:64 is not valid: " in done.stdout
    assert "name:MB:weight:processes" in done.stdout
    assert (platform.state / "pogo.conf").read_text() == before
