"""The mirror as a service: it is retired, it may be killed, the operator asks it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pogo.install import processes
from pogo.install.runit import Runit
from pogo.install.supervision import Service
from pogo.mirror.artefacts import FileArtefacts
from pogo.mirror.egress import EgressLog
from pogo.rules.build_passes import Visitor

MAKER = """
import asyncio, pathlib, sys
from pogo.mirror.artefacts import FileArtefacts
async def make(path):
    with path.open("wb") as file:
        for _ in range(1000):
            file.write(b"x" * 100_000); file.flush()
            print("part", flush=True)
            await asyncio.sleep(0.01)
asyncio.run(FileArtefacts(pathlib.Path(sys.argv[1])).get("node/big.tar.gz", make))
"""


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_maker_leaves_nothing_that_is_seen(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MAKER, tmp_path], stdout=subprocess.PIPE) as maker:
        assert maker.stdout
        for _ in range(3):
            assert maker.stdout.readline() == b"part\n"
        kept = FileArtefacts(tmp_path)
        assert kept.find("node/big.tar.gz") is None
        assert kept.sweep() == 0, "a living maker's file was taken away"
        maker.send_signal(signal.SIGKILL)
        maker.wait()
    assert kept.find("node/big.tar.gz") is None
    assert kept.sweep() == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_service_that_is_no_longer_wanted_ends_and_the_others_do_not_notice(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    keep, drop = (Service(name, ("/bin/sleep", f"100{number}"), "root", {}, "") for number, name in enumerate("ab"))
    runit = Runit(tmp_path)
    try:
        runit.install([keep, drop])
        for service in (keep, drop):
            runit.start(service.name)
        kept, dropped = runit.pid("a"), runit.pid("b")
        assert kept and dropped
        runit.retire([keep])
        until(lambda: processes.ended(dropped))
        assert [path.name for path in runit.services.iterdir()] == ["a"]
        assert runit.pid("a") == kept
        assert processes.find(["/bin/sleep", "1001"]) == []
        runit.install([keep, drop])  # returns when runsvdir has looked again
        assert runit.pid("a") == kept
        runit.start("b")
        until(lambda: runit.pid("b") is not None)
    finally:
        runit.remove()


@pytest.fixture
def installation(tmp_path: Path) -> dict[str, str]:
    """The environment of a mirror that has a log but does not run."""
    (tmp_path / "mirror").mkdir()
    (tmp_path / "cache" / "mirror").mkdir(parents=True)
    log = EgressLog(tmp_path / "mirror")
    log.refuse(Visitor("one", "b1"), "CONNECT", "10.0.0.1", 443, "it is private")
    log.end(log.begin(Visitor("two", "b2"), "CONNECT", "pypi.org", 443, by="passed"))
    found = {
        "POGO_CONFIG": "/nonexistent",
        "POGO_STATE_DIR": str(tmp_path),
        "POGO_USER": "root",
        "POGO_MIRROR": "answer",
    }
    return {**os.environ, **found, "POGO_CACHE_DIR": str(tmp_path / "cache"), "POGO_MIRROR_PORT": "5999"}


def pogo_mirror(environ: dict[str, str], *words: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "from pogo.mirror.command import main; main()", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_operator_is_told_state_and_log(installation: dict[str, str]) -> None:
    status, out = pogo_mirror(installation, "status")
    assert status == 0 and "DOES NOT LISTEN" in out and "Has made      0 files" in out
    status, out = pogo_mirror({**installation, "POGO_MIRROR": "off"}, "status")
    assert status == 0 and "POGO_MIRROR=log bin/up" in out
    status, out = pogo_mirror(installation, "log")
    assert [line.split(" ", 2)[1] for line in out.splitlines()] == ["app=one", "app=two"]
    assert pogo_mirror(installation, "log", "--app", "two")[1].count("\n") == 1
    assert "app=two" in pogo_mirror(installation, "log", "-n", "1")[1]
    status, out = pogo_mirror(installation, "prefetch", "cobol@60")
    assert status == 1 and "nothing to fetch ahead for 'cobol'" in out
    status, out = pogo_mirror({**installation, "POGO_MIRROR": "log"}, "prefetch", "node@22")
    assert status == 1 and "POGO_MIRROR=answer bin/up" in out
    status, out = pogo_mirror({**installation, "POGO_USER": "nobody-at-all"}, "log")
    assert status == 1 and "Run bin/up first" in out


def test_the_log_is_followed_over_its_turn(installation: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Path(installation["POGO_STATE_DIR"]) / "mirror"
    command = [sys.executable, "-c", "from pogo.mirror.command import main; main()", "log", "-t", "-n", "1"]
    with subprocess.Popen(command, env=installation, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout
        assert "app=two" in follower.stdout.readline()
        log = EgressLog(directory)
        log.refuse(Visitor("three", "b3"), "GET", "a", 80, "x")
        assert "app=three" in follower.stdout.readline()
        log._rotate()
        log.refuse(Visitor("four", "b4"), "GET", "a", 80, "x")
        assert "app=four" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(10) == 130
