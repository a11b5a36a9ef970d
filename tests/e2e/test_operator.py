"""The operator's side: bin/up again, interrupted, beside another one; programs killed; bin/down."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation, reserve
from waiting import eventually

from pogo.install import processes
from pogo.settings import Settings

SERVICES = ("agent", "pogod", "router")


def answers(platform: Installation) -> bool:
    try:
        return platform.get("hello").status == 200
    except OSError:
        return False


def web_dynos(platform: Installation) -> set[str]:
    """The web dynos of the first app, each with the time of its start."""
    lines = platform.pogo("ps", "-a", "hello").splitlines()
    return {line.partition(" (")[0] for line in lines if line.startswith("web.")}


def is_mounted(device: str) -> bool:
    """By anybody: installations that share a stack image share its loop device, which names the file of one of them."""
    for pid in processes.pids():
        with contextlib.suppress(OSError):
            if f" {device} " in Path(f"/proc/{pid}/mountinfo").read_text():
                return True
    return False


def traces(platform: Installation) -> list[str]:
    """What of an installation is left on this machine."""
    tag = Settings(state_dir=platform.state).tag
    found = [f"process {pid}" for pid in processes.pids() if str(platform.state) in " ".join(processes.command(pid))]
    found += [row for row in Path("/proc/mounts").read_text().splitlines() if str(platform.state) in row]
    found += [f"link {link}" for link in os.listdir("/sys/class/net") if link.startswith(f"pg{tag}")]
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    found += [row for row in tables.splitlines() if row.endswith(f"_{tag}")]
    loops = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True).stdout
    found += [row for row in loops.splitlines() if str(platform.state) in row and not is_mounted(row.partition(":")[0])]
    hierarchies = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
    return found + [str(group) for one in hierarchies if (group := one / f"pogo-{tag}").exists()]


def test_a_second_run_takes_seconds_and_touches_nothing(platform: Installation) -> None:
    eventually(lambda: answers(platform))
    before = [platform.pid(name) for name in SERVICES]
    started = web_dynos(platform)
    began = time.monotonic()
    said = platform.up()
    assert time.monotonic() - began < 60
    assert "up to date" in said
    assert "password" not in said
    assert [platform.pid(name) for name in SERVICES] == before
    assert web_dynos(platform) == started


def test_a_stack_is_built_by_name(platform: Installation) -> None:
    assert "pogo-13 is pogo-13-" in platform.pogo("stack:build", "pogo-13")  # nothing is missing: at once
    assert (platform.state / "stacks" / "pogo-13" / "current").is_symlink()
    assert "Stacks: pogo-13, pogo-12" in platform.pogo("stack:build", "pogo-99", check=False)


def examined(platform: Installation) -> tuple[int, dict[tuple[str, str], str]]:
    """The exit status of `pogo doctor`, and the level of each of its checks by area and name."""
    done = platform.call("pogo", "doctor", "--json")
    return done.returncode, {(row["area"], row["name"]): row["level"] for row in json.loads(done.stdout)}


def test_the_doctor_finds_what_is_well_and_what_is_not(platform: Installation) -> None:
    eventually(lambda: answers(platform))
    status, levels = examined(platform)
    failed = {key for key, level in levels.items() if level == "failed" and key[1] != "names"}  # the network's
    assert not failed
    assert levels["Kernel", "overlay"] == levels["Platform", "agent"] == levels["Data", "database"] == "ok"
    assert levels["Leftovers", "control groups"] == levels["Leftovers", "links"] == "ok"

    link = platform.state / "stacks" / "pogo-13" / "current"
    group = Path("/sys/fs/cgroup/memory" if Path("/sys/fs/cgroup/memory").is_dir() else "/sys/fs/cgroup")
    group = group / f"pogo-{Settings(state_dir=platform.state).tag}" / "c" / "nobody"
    link.rename(link.with_name("aside"))
    group.mkdir()
    try:
        status, levels = examined(platform)
        shown = platform.call("pogo", "doctor")
    finally:
        group.rmdir()
        link.with_name("aside").rename(link)
    assert status == shown.returncode == 1
    assert levels["Platform", "stack pogo-13"] == "failed"
    assert levels["Leftovers", "control groups"] == "warning"
    assert "-> Run bin/up, or: pogo stack:build pogo-13" in shown.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_program_is_back_and_the_app_answers(platform: Installation, name: str) -> None:
    time.sleep(1.1)  # runit: one start a second
    old = platform.pid(name)
    platform.kill(name)
    assert eventually(lambda: platform.pid(name) not in (0, old)) < 10
    eventually(lambda: answers(platform))


def test_the_caller_is_logged_in_and_only_he_can_read_his_token(platform: Installation) -> None:
    assert "admin@localhost" in platform.pogo("whoami")
    file = platform.home / ".config" / "pogo" / "config.json"
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_api_is_trusted_by_the_ca_alone(platform: Installation) -> None:
    ca = str(platform.state / "tls" / "ca.pem")
    for host in ("localhost", "127.0.0.1"):
        platform.run("curl", "-sS", "-o", "/dev/null", "--cacert", ca, f"https://{host}:{platform.https_port}/")


def test_nothing_secret_is_readable_by_others(platform: Installation) -> None:
    command = ["find", str(platform.state / "keys"), str(platform.state / "tls"), str(platform.state / "haproxy"),
               str(platform.state / "db"), "-type", "f", "-perm", "/o=r"]  # fmt: skip
    public = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    reachable = [path for path in public if "/tls/" in path or "/haproxy/" in path]
    assert {Path(path).name for path in reachable if not path.endswith((".html", ".http", ".map", ".cfg", ".lua"))} == {
        "ca.pem",
        "server.pem",
        "crt-list.txt",
    }
    assert (platform.state / "db").stat().st_mode & 0o007 == 0


def test_the_disk_is_reclaimed_with_a_report(platform: Installation) -> None:
    """Old output, build caches, packs of single pushes; what runs and what is kept stays."""
    eventually(lambda: answers(platform))
    old = platform.state / "transcripts" / "00000000-0000-4000-8000-000000000000.end"
    for file, text in ((old, ""), (old.with_suffix(".txt"), "x")):
        file.write_text(text)
        os.utime(file, (1, 1))
    slugs = sorted((platform.state / "store" / "slugs").iterdir())
    dynos = web_dynos(platform)
    found = json.loads(platform.pogo("admin:reclaim", "--caches", "--json"))
    assert found["problems"] == [] and found["objects"]["kept"] == "" and found["packed"] >= 1
    assert found["objects"]["before"]["caches"] >= 1 and "caches" not in found["objects"]["after"]
    assert found["freed"]["store"] > 0 and not old.exists()
    assert sorted((platform.state / "store" / "slugs").iterdir()) == slugs
    repositories = list((platform.state / "git").glob("*.git"))
    assert repositories and all(len(list(one.glob("objects/pack/*.pack"))) <= 1 for one in repositories)
    assert web_dynos(platform) == dynos and answers(platform)
    said = platform.pogo("admin:reclaim")
    assert re.search(r"^ +\d+  repositories packed$", said, re.M), said
    assert re.search(r"^(Freed|Nothing to free).* are free\.$", said, re.M), said


def test_down_is_like_switching_the_machine_off(platform: Installation) -> None:
    """And the operator sees what is, before and after."""
    eventually(lambda: answers(platform))
    up = platform.pogo("admin:status")
    assert re.search(r"^API +https://\S+ answers$", up, re.M) and re.search(r"^pogod +up \d", up, re.M), up
    assert re.search(r"^apps +\d+; dynos: .*\d up", up, re.M), up
    platform.down()
    down = platform.pogo("admin:status")
    assert "DOES NOT ANSWER" in down and re.search("^pogod +DOES NOT RUN$", down, re.M), down
    assert re.search(r"^apps +\d+; ", down, re.M), down
    # The kernel frees loop devices a moment after the last mount, on a busy machine some seconds.
    eventually(lambda: traces(platform) == [])
    platform.up()
    eventually(lambda: answers(platform))


def test_a_port_in_use_is_named_before_anything_is_changed(platform: Installation) -> None:
    before = (platform.state / "pogo.conf").read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = platform.call("bin/up", cwd=platform.checkout, env={**platform.settings, "POGO_HTTP_PORT": str(port)})
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use by " in done.stdout
    assert f"(process {os.getpid()})" in done.stdout
    assert "POGO_HTTP_PORT=" in done.stdout
    assert (platform.state / "pogo.conf").read_text() == before
    assert answers(platform)


def test_a_changed_setting_is_remembered_and_dynos_run_on(platform: Installation) -> None:
    before = web_dynos(platform)
    said = platform.up(POGO_LOG_LINES="5000")
    assert "restarted: agent, pogod" in said
    assert "POGO_LOG_LINES=5000" in (platform.state / "pogo.conf").read_text()
    assert "up to date" in platform.run("bin/up", cwd=platform.checkout, env={"POGO_STATE_DIR": str(platform.state)})
    assert web_dynos(platform) == before
    assert answers(platform)


# Words of bin/up's output after which it is killed, with all that it has started but the platform itself.
INTERRUPTIONS = (
    "Pogoapp in",
    "Python environment",
    "Users, keys, names",
    "database",
    "starting agent",
    "starting pogod",
    "starting router",
    "started",
    "Building",
    "Installing dependencies",
    "Launching",
    "waiting for its answer",
)


def up_until(platform: Installation, word: str, number: signal.Signals) -> str:
    """Start bin/up and send its process group a signal when it has printed `word`; what it printed.

    It may come to its end without that word: an app whose push was killed is built all the same.
    """
    process = subprocess.Popen(
        ["bin/up"],
        cwd=platform.checkout,
        env={**platform.environment, **platform.settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = ""
    with process.stdout as output:
        for line in output:
            said += line
            if word in line:
                os.killpg(process.pid, number)
    process.wait(60)
    return said


@pytest.fixture
def second(platform: Installation) -> Iterator[Installation]:
    second = reserve()
    yield second
    if second.place.exists():
        second.remove()


@pytest.mark.timeout(900)
def test_interrupted_anywhere_it_completes_beside_another_and_leaves_nothing(
    platform: Installation, second: Installation
) -> None:
    said = ""
    for turn, word in enumerate(INTERRUPTIONS):
        said += up_until(second, word, signal.SIGKILL if turn % 3 else signal.SIGINT)
    said += second.up()
    assert len(re.findall(r"password \S{20}", said)) == 1
    eventually(lambda: answers(second))
    assert answers(platform)
    assert second.pogo("apps").split() == ["===", "admin@localhost", "Apps", "hello"]
    for secret in ("secrets.key", "url.key"):
        assert (second.state / "keys" / secret).stat().st_mode & 0o777 == 0o600
    assert "password" not in second.up()
    second.down("--purge", "--yes")
    assert not second.state.exists()
    eventually(lambda: traces(second) == [])
    assert answers(platform)
