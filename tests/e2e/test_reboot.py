"""The machine goes down, by its switch and by a power cut, with an app, a build and a release phase at work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation
from waiting import eventually
from wreckage import answered, check_ticks, leftovers, log, releases, settle, source, version

from pogo.install import processes
from pogo.settings import Settings

APP = "rebooted"
DYNOS = 2


@pytest.fixture(scope="module")
def repository(platform: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    work = platform.create(source(tmp_path_factory.mktemp("rebooted") / "app"), APP)
    platform.push(work)
    platform.pogo("ps:scale", f"web={DYNOS}", "-a", APP)
    settle(platform, APP, DYNOS, version(platform, APP))
    yield work
    platform.pogo("apps:destroy", APP, "--confirm", APP)


def cut_the_power(platform: Installation) -> None:
    """Kill everything at once, supervisors first; what the kernel keeps in memory alone goes too.

    Pages that were not yet on the disk stay, unlike in a real one: `tear` does that.
    """
    state = str(platform.state)
    end, quiet = time.monotonic() + 60, 0
    # A supervisor that is about to be killed may have forked once more: until nothing was left three times.
    while quiet < 3:
        ours = [pid for pid in processes.pids() if state in " ".join(processes.command(pid))]
        ours += _in_control_groups(platform)
        assert time.monotonic() < end, [processes.command(pid) for pid in ours]
        quiet = 0 if ours else quiet + 1
        for pid in sorted(ours, key=lambda pid: "runsv" not in " ".join(processes.command(pid))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    tag = Settings(state_dir=platform.state).tag
    eventually(lambda: not _in_control_groups(platform))
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        for directory, _, _ in os.walk(hierarchy / f"pogo-{tag}", topdown=False):
            os.rmdir(directory)
    subprocess.run(["nft", "delete", "table", "inet", f"pogo_{tag}"], check=True)
    subprocess.run(["ip", "route", "del", "unreachable", platform.settings["POGO_SUBNET"]], check=True)


def _in_control_groups(platform: Installation) -> list[int]:
    found = []
    for file in Path("/sys/fs/cgroup/pids", f"pogo-{Settings(state_dir=platform.state).tag}").rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in file.read_text().split()]
    return found


def tear(platform: Installation) -> None:
    """Empty the files that were written last and never synced, as a file system may come back."""
    first, second, *_ = (platform.state / "run/c").glob("web-*")
    for name in ("spec", "spool", "pid", "lxc.conf"):
        (first / name).write_bytes(b"")
    for name in ("spool", "exit"):
        (second / name).write_bytes(b"")


def texts(platform: Installation, app: str, since: int = 0) -> list[str]:
    return [f"{line.dyno}: {line.text}" for line in log(platform, app)[since:]]


def serves(platform: Installation, app: str) -> bool:
    try:
        return platform.get(app).status == 200
    except OSError:
        return False


@pytest.mark.parametrize("how", ["down", "power cut", "power cut, torn files"])
def test_everything_comes_back(platform: Installation, repository: Path, how: str) -> None:
    """The same release at the same scale, one-off dynos gone and told, the log whole, a build begun again."""
    # pogod finishes requests for three seconds when it is told to stop: the build shall last longer.
    platform.pogo("config:set", f"COMPILE={7 if how == 'down' else 3}", f"MARK={how}", "-a", APP)
    before = version(platform, APP)
    settle(platform, APP, DYNOS, before)
    known = len(answered(platform, f"/apps/{APP}/builds"))
    platform.pogo("run:detached", "-a", APP, "echo one-off; sleep 1000")
    eventually(lambda: any(text.endswith(": one-off") for text in texts(platform, APP)))
    earlier = texts(platform, APP)
    (repository / "code").write_text(how)
    platform.commit(repository, how)
    push = subprocess.Popen(
        ["git", "push", "pogo", "main"],
        cwd=repository,
        env=platform.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert push.stdout is not None
    assert any("compiling 2" in line for line in push.stdout)
    if how == "down":
        platform.down()
    else:
        cut_the_power(platform)
    if "torn" in how:
        tear(platform)
    assert push.wait(60) != 0
    began = time.monotonic()
    platform.up()
    eventually(lambda: serves(platform, APP))
    print(f"{how}: serves again after {time.monotonic() - began:.1f} s")
    assert serves(platform, "hello") or eventually(lambda: serves(platform, "hello"))
    told = texts(platform, APP)
    assert told[: len(earlier) - 20] == earlier[:-20]
    eventually(lambda: len(releases(platform, APP)) == before + 1)
    settle(platform, APP, DYNOS, before + 1)
    assert [one["status"] for one in answered(platform, f"/apps/{APP}/builds")][known:] == ["succeeded"]
    one_off = [line.dyno for line in log(platform, APP) if line.text == "one-off"][-1]
    ended = [text for text in texts(platform, APP) if text.startswith(one_off)]
    assert any("Process lost" in text for text in ended), ended
    assert f"{one_off}: State changed from up to complete" in ended
    said = platform.push(repository)
    assert "its build has succeeded" in said, said
    assert "torn" in how or check_ticks(platform, APP)
    eventually(lambda: leftovers(platform) == [])


def test_a_release_phase_that_was_cut_is_failed(platform: Installation, repository: Path, tmp_path: Path) -> None:
    """It must not run twice unasked; the release before it serves, and the next deploy runs it again."""
    app = "phased"
    phase = "echo begun; sleep ${PHASE:-0}; echo finished"
    work = platform.create(source(tmp_path / "app", release=phase), app)
    platform.push(work)
    settle(platform, app, 1, 2)
    platform.call("pogo", "config:set", "PHASE=60", "-a", app)
    since = len(log(platform, app))
    eventually(lambda: any(text.endswith(": begun") for text in texts(platform, app)[since - 5 :]))
    cut_the_power(platform)
    platform.up()
    eventually(lambda: releases(platform, app)[-1]["status"] == "failed")
    eventually(lambda: serves(platform, app))
    told = texts(platform, app, since)
    assert sum(text.endswith(": begun") for text in told) <= 1
    assert not any(text.endswith(": finished") for text in told)
    assert any("interrupted" in text and "v3" in text and "previous release" in text for text in told), told
    platform.pogo("config:set", "PHASE=0", "-a", app)
    eventually(lambda: releases(platform, app)[-1]["status"] == "succeeded")
    settle(platform, app, 1, 4)
    platform.pogo("apps:destroy", app, "--confirm", app)
