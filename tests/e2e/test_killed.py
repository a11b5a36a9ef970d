"""Every part is killed, in the middle of a build, of a boot and of a switch, under load; nothing but time is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from installation import Installation
from waiting import eventually
from wreckage import (
    Requests,
    answered,
    check_requests,
    check_ticks,
    git_leftovers,
    log,
    settle,
    source,
    version,
)

from pogo.agent import cgroups
from pogo.install import processes
from pogo.settings import Settings

APP = "killed"
PARTS = ("pogod", "agent", "router")
DYNOS = 2
# Requests that may be missing in the log: what a dying pogod has been given and not written yet, what HAProxy
# had not passed on.
LOST = {"pogod": 4, "agent": 0, "router": 20}


@pytest.fixture(scope="module")
def repository(platform: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository of the app, which runs with two web dynos."""
    work = platform.create(source(tmp_path_factory.mktemp("killed") / "app"), APP)
    platform.push(work)
    platform.pogo("ps:scale", f"web={DYNOS}", "-a", APP)
    settle(platform, APP, DYNOS, version(platform, APP))
    yield work
    answered(platform, "/account")
    platform.pogo("apps:destroy", APP, "--confirm", APP)


@pytest.fixture(autouse=True)
def at_rest(platform: Installation, repository: Path) -> None:
    """Each test begins with the app at rest; runit starts a program at most once a second."""
    time.sleep(1.1)
    eventually(lambda: answered(platform, "/account") and serves(platform))
    settle(platform, APP, DYNOS, version(platform, APP))


def serves(platform: Installation) -> bool:
    try:
        return platform.get(APP).status == 200
    except OSError:
        return False


def kill(platform: Installation, part: str) -> Callable[[], bool]:
    """Kill it; a function that tells whether it runs again."""
    old = platform.pid(part)
    os.kill(old, signal.SIGKILL)
    return lambda: platform.pid(part) not in (0, old)


def start_push(platform: Installation, work: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["git", "push", "pogo", "main"],
        cwd=work,
        env=platform.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(process: subprocess.Popen[str], word: str) -> str:
    """What it printed up to the line with the word."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if word in line:
            return said
    raise AssertionError(f"{word!r} was never said:\n{said}")


def change_code(platform: Installation, work: Path, text: str) -> None:
    (work / "code").write_text(text)
    platform.commit(work, text)


def builds(platform: Installation) -> list[dict[str, object]]:
    found: list[dict[str, object]] = answered(platform, f"/apps/{APP}/builds")
    return found


def check_failures(load: Requests, part: str) -> None:
    print(f"{part} killed: {load.outage()}")
    if part == "router":
        failed = load.failed
        assert not failed or max(one.ended for one in failed) - min(one.began for one in failed) < 15
    else:
        assert load.failed == []


@pytest.mark.parametrize("part", PARTS)
def test_in_a_build(platform: Installation, repository: Path, part: str) -> None:
    """The build goes on, and is released once; where the pusher lost it, the next push shows its end."""
    platform.pogo("config:set", "COMPILE=3", "-a", APP)
    before = version(platform, APP)
    settle(platform, APP, DYNOS, before)
    known = len(builds(platform))
    change_code(platform, repository, f"built-{part}")
    with Requests(platform, APP) as load:
        push = start_push(platform, repository)
        until(push, "compiling 2")
        back = kill(platform, part)
        eventually(back)
        said = push.communicate(timeout=60)[0]
        if push.returncode:
            assert part != "agent", said
            answered(platform, "/account")
            said = platform.push(repository, check=False)
        assert "Everything up-to-date" in said or "deployed" in said or "has succeeded" in said, said
        assert "Everything up-to-date" in platform.push(repository)
        settle(platform, APP, DYNOS, before + 1)
        eventually(lambda: load.last.code == f"built-{part}")
    assert [one["status"] for one in builds(platform)][known:] == ["succeeded"]
    assert platform.run("git", "ls-remote", "pogo", "main", cwd=repository).split()[0] == platform.run(
        "git", "rev-parse", "HEAD", cwd=repository
    ).strip()  # fmt: skip
    check_failures(load, part)
    check_ticks(platform, APP)
    check_requests(platform, APP, load, LOST[part])
    assert git_leftovers(platform, APP) == []
    platform.pogo("config:unset", "COMPILE", "-a", APP)


@pytest.mark.parametrize("part", PARTS)
def test_in_a_boot(platform: Installation, repository: Path, part: str) -> None:
    """Dynos that take three seconds come up once, and the old ones serve until then."""
    before = version(platform, APP)
    with Requests(platform, APP) as load:
        platform.pogo("config:set", "BOOT=3", f"MARK=boot-{part}", "-a", APP)
        eventually(lambda: booting(platform, before + 1) == DYNOS)
        back = kill(platform, part)
        eventually(back)
        settle(platform, APP, DYNOS, before + 1)
        eventually(lambda: load.last.mark == f"boot-{part}")
    check_failures(load, part)
    check_ticks(platform, APP)
    check_requests(platform, APP, load, LOST[part])
    # Each of the two dynos was started once: nobody booted it again.
    assert len({one.boot for one in load.asked if one.mark == f"boot-{part}"}) == DYNOS
    platform.pogo("config:unset", "BOOT", "-a", APP)


def booting(platform: Installation, release: int) -> int:
    """How many containers of dynos of this release run that are not up yet."""
    dynos = answered(platform, f"/apps/{APP}/dynos?extended=true")
    return sum(
        one["state"] == "starting" and one["release"]["version"] == release and bool(one["extended"]["ip"])
        for one in dynos
    )


@pytest.mark.parametrize("part", PARTS)
def test_in_a_switch(platform: Installation, repository: Path, part: str) -> None:
    """The new dynos serve, the old ones finish the requests they have, then go."""
    before = version(platform, APP)
    with Requests(platform, APP) as load:
        time.sleep(0.5)
        platform.pogo("config:set", f"MARK=switch-{part}", "-a", APP)
        eventually(lambda: load.last.mark == f"switch-{part}")
        back = kill(platform, part)
        eventually(back)
        settle(platform, APP, DYNOS, before + 1)
    check_failures(load, part)
    check_ticks(platform, APP)
    check_requests(platform, APP, load, LOST[part])


@pytest.mark.parametrize("part", ["pogod", "agent"])
def test_exit_status_and_last_words_while_it_is_away(platform: Installation, repository: Path, part: str) -> None:
    lines = len(log(platform, APP))
    platform.pogo("run:detached", "-a", APP, "sleep 1.5; echo last words; exit 7")
    eventually(lambda: any(line.dyno.startswith("run.") and "up" in line.text for line in log(platform, APP)[lines:]))
    service = str(platform.state / "service" / part)
    pid = platform.pid(part)
    platform.run("sv", "once", service)
    os.kill(pid, signal.SIGKILL)
    time.sleep(2)
    platform.run("sv", "up", service)
    dyno = [line.dyno for line in log(platform, APP) if line.dyno.startswith("run.")][-1]

    def told() -> list[str]:
        return [line.text for line in log(platform, APP) if line.dyno == dyno]

    eventually(lambda: "State changed from up to complete" in told())
    assert told().count("last words") == 1
    assert [text for text in told() if "exited" in text] == ["Process exited with status 7"]
    settle(platform, APP, DYNOS, version(platform, APP))


# -- parts of a dyno


def containers(platform: Installation) -> dict[str, str]:
    """Dyno name → container id."""
    return {one["name"]: one["extended"]["instance"] for one in answered(platform, f"/apps/{APP}/dynos?extended=true")}


def payload(platform: Installation, container: str) -> list[int]:
    """The processes in a container, its init first."""
    return cgroups.processes(f"pogo-{Settings(state_dir=platform.state).tag}/c/{container}")


@pytest.mark.parametrize("what", ["monitor", "process", "control group"])
def test_a_dyno_is_killed(platform: Installation, repository: Path, what: str) -> None:
    """It is started again at once, the other one serves meanwhile, and nothing of the dead one is left."""
    container = containers(platform)["web.1"]
    inside = payload(platform, container)
    victims = {
        "monitor": [int((platform.state / "run/c" / container / "pid").read_text())],
        "process": [pid for pid in inside if "server.py" in " ".join(processes.command(pid))],
        "control group": inside,
    }[what]
    assert victims
    lines = len(log(platform, APP))
    with Requests(platform, APP) as load:
        time.sleep(0.3)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):  # its init took it along
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: containers(platform).get("web.1") not in (None, container))
        settle(platform, APP, DYNOS, version(platform, APP))
        time.sleep(0.5)
    print(f"{what} killed: {load.outage()}")
    assert all(processes.ended(pid) for pid in [*inside, *victims])
    # Requests that the dead dyno had are lost; others find the other one.
    assert len(load.failed) <= 4, load.failed
    told = [line.text for line in log(platform, APP)[lines:] if line.dyno == "web.1" and line.source == "heroku"]
    assert sum("from up to crashed" in text for text in told) == 1, told
    assert sum("Starting process" in text for text in told) == 1, told
    if what == "process":
        assert "Process exited with status 137" in told
    if what != "monitor":
        check_ticks(platform, APP)


# -- parts of a push


def kill_tree(pid: int) -> None:
    for child in [one for one in processes.pids() if processes.parent(one) == pid]:
        kill_tree(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_the_pusher_is_killed_while_it_sends(platform: Installation, repository: Path) -> None:
    """Nothing is built; the next push takes what is left of it away."""
    before, known = version(platform, APP), len(builds(platform))
    (repository / "ballast").write_bytes(os.urandom(60 << 20))
    change_code(platform, repository, "heavy")
    push = start_push(platform, repository)
    eventually(lambda: any("objdir" in str(path) or "incoming" in str(path) for path in git_leftovers(platform, APP)))
    kill_tree(push.pid)
    push.wait()
    time.sleep(1)
    assert len(builds(platform)) == known
    platform.run("git", "rm", "--quiet", "-f", "ballast", cwd=repository)
    platform.run("git", "commit", "--quiet", "--amend", "--all", "--message", "light", cwd=repository)
    assert "deployed to Pogo" in platform.push(repository)
    assert git_leftovers(platform, APP) == []
    settle(platform, APP, DYNOS, before + 1)


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_push_is_killed_in_its_build(platform: Installation, repository: Path, side: str) -> None:
    """The build goes on. A dead client's push is complete all the same; else the next one makes it so."""
    platform.pogo("config:set", "COMPILE=2", "-a", APP)
    before = version(platform, APP)
    change_code(platform, repository, f"push-{side}")
    push = start_push(platform, repository)
    until(push, "compiling 1")
    if side == "client":
        kill_tree(push.pid)
    else:
        for pid in [one for one in processes.pids() if processes.command(one)[-1:] == ["http-backend"]]:
            if processes.descends(pid, {platform.pid("pogod")}):
                kill_tree(pid)
        assert push.wait(60) != 0
    eventually(lambda: version(platform, APP) == before + 1)
    settle(platform, APP, DYNOS, before + 1)
    said = platform.push(repository)
    assert ("Everything up-to-date" if side == "client" else "its build has succeeded") in said, said
    assert "Everything up-to-date" in platform.push(repository)
    assert version(platform, APP) == before + 1
    assert git_leftovers(platform, APP) == []
    platform.pogo("config:unset", "COMPILE", "-a", APP)


# -- supervision


@pytest.mark.parametrize("part", PARTS)
def test_a_supervisor_is_killed(platform: Installation, repository: Path, part: str) -> None:
    """Its program dies with it and is started once by the next one."""
    old = platform.pid(part)
    with Requests(platform, APP) as load:
        os.kill(processes.parent(old), signal.SIGKILL)
        eventually(lambda: processes.ended(old))
        eventually(lambda: platform.pid(part) not in (0, old) and not processes.ended(platform.pid(part)))
        settle(platform, APP, DYNOS, version(platform, APP))
        eventually(lambda: serves(platform))
    print(f"runsv of {part} killed: {load.outage()}")
    assert part == "router" or load.failed == []


def test_the_first_supervisor_is_killed(platform: Installation, repository: Path) -> None:
    """Everything runs on, and bin/up starts another one."""
    before = [platform.pid(part) for part in PARTS]
    (first,) = processes.find(["runsvdir", "-P", str(platform.state / "service")])
    with Requests(platform, APP) as load:
        os.kill(first, signal.SIGKILL)
        assert "up to date" in platform.up()
    assert load.failed == []
    assert [platform.pid(part) for part in PARTS] == before
    assert len(processes.find(["runsvdir", "-P", str(platform.state / "service")])) == 1
