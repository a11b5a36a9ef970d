"""Builds as the service runs them, in real containers: limits, isolation, cancelling, faults, and kill -9."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from build_service_rig import Service, service
from containers_lxc import STACK, AgentProcess, agent_installation, missing

from pogo.containers import ContainerSpec, Limits
from pogo.loops import build_steps, pruning
from pogo.services import apps, builds
from pogo.services.database import Database

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

Scenario = Callable[[Service], Awaitable[None]]


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with agent_installation() as agent:
        yield agent


@pytest.fixture
def run(agent: AgentProcess, db: Database, tmp_path: Path) -> Callable[..., None]:
    async def with_service(scenario: Scenario, settings: dict[str, Any]) -> None:
        async with service(agent, db, tmp_path, **settings) as made:
            await scenario(made)

    return lambda scenario, **settings: uvloop.run(with_service(scenario, settings))


def test_a_build_is_measured_and_ends_though_it_leaves_processes(run: Callable[..., None]) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        build = it.push(
            "sleep 1000 & setsid sleep 1000 & perl -e 'my $x = q(x) x (50 << 20); sleep 3'; echo n > $CACHE/n"
        )
        done = await it.ended(build)
        assert done.status == "succeeded", it.output(build)
        assert "       Built in " in it.output(build) and "; peak memory " in it.output(build)
        assert done.steps["peak"] > 50 << 20 and done.steps["compile"] > 1
        assert [*it.platform.store.list("caches/")] == [f"caches/{it.app.id}"]
        second = it.push("cat $CACHE/n; echo again")
        await it.ended(second)
        assert "\nn\nagain\n" in it.output(second)

    run(scenario)


@pytest.mark.parametrize(
    ("script", "settings", "words"),
    [
        (
            "perl -e 'my $x = q(x) x (600 << 20)'",
            {"build_memory_mb": 256},
            "it needs more than the 256 MB that a build may use (POGO_BUILD_MEMORY_MB)",
        ),
        (
            "bomb() { bomb | bomb & }; bomb; sleep 3; exit 1",
            {"build_processes": 100},
            "more than the 100 processes that a build may have (POGO_BUILD_PROCESSES)",
        ),
        ("sleep 1000", {"build_timeout": 3}, "took longer than 3 seconds and was stopped (POGO_BUILD_TIMEOUT)"),
        (
            "dd if=/dev/zero of=/tmp/x bs=1M count=400 status=none; sleep 1000",
            {"build_disk_mb": 300},
            "it wrote more than the 300 MB that it may (POGO_BUILD_DISK_MB)",
        ),
    ],
)
def test_limits_are_told(run: Callable[..., None], script: str, settings: dict[str, int], words: str) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        build = it.push(script)
        done = await it.ended(build)
        assert done.status == "failed"
        assert words in it.output(build)
        assert it.output(build).endswith("!     Push rejected, the build failed.\n")
        assert not list(it.platform.store.list("slugs/")) and not list(it.platform.store.list("caches/"))

    run(scenario, **settings)


PROBES = """
id -u
ls $CACHE
for place in %s; do
    host=${place%%:*} port=${place#*:}
    open="echo > /dev/tcp/$host/$port"
    if timeout 2 bash -c "$open" 2>/dev/null; then echo "reached $place"; else echo "kept from $place"; fi
done
timeout 2 bash -c 'echo > /dev/tcp/127.0.0.1/8125' 2>/dev/null && echo 'reached own' || echo 'nobody on loopback'
ls /proc | grep -c '^[0-9]'
find / -xdev -writable -type d 2>/dev/null | grep -Ev '^/(proc|tmp|app|dev)(/|$)'
ls -d /var/lib/pogo /srv/* /sys/fs/cgroup/*/pogo* /pogo/in/* 2>/dev/null
echo probed
"""


def test_a_build_reaches_nothing_of_others(run: Callable[..., None]) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        other = apps.create_app(it.db, it.ann, "other", STACK, 10)
        await it.ended(it.push("echo theirs > $CACHE/secret-of-other", other))
        listen = "import socket, time; s = socket.create_server(('0.0.0.0', 5000)); time.sleep(600)"
        spec = ContainerSpec(
            id="other-web", slot=other.slot, stack=STACK, command=("python3", "-c", listen),
            env={"PATH": "/usr/bin:/bin"}, limits=Limits(128 << 20),
        )  # fmt: skip
        dyno = await it.containers.start(spec)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 0)
        port = server.sockets[0].getsockname()[1]
        await it.until(lambda: _answers(dyno.address, 5000))
        gateway = str(it.agent.installation.subnet[0])
        machine = _own_address()
        places = [
            f"{dyno.address}:5000",
            f"{gateway}:{port}",
            f"{machine}:{port}",
            "169.254.169.254:80",
            "100.100.100.200:80",
        ]
        build = it.push(PROBES % " ".join(places))
        done = await it.ended(build)
        said = it.output(build)
        assert done.status == "succeeded", said
        lines = said.split("Script app detected\n")[1].split("probed\n")[0].splitlines()
        assert lines[0] == "1000"
        assert lines[1:6] == [f"kept from {place}" for place in places], said
        assert "secret-of-other" not in said
        assert lines[6] == "nobody on loopback"
        assert int(lines[7]) < 20, "only its own processes are seen"
        assert set(lines[8:]) <= {"/pogo/out", "/pogo/in/build.json", "/pogo/in/source.tar", "/run/lock", "/var/tmp"}, (
            said
        )
        server.close()

    run(scenario)


def _answers(host: str, port: int) -> bool:
    import socket

    try:
        socket.create_connection((host, port), 0.2).close()
    except OSError:
        return False
    return True


def _own_address() -> str:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])


def test_a_running_build_is_cancelled_and_its_app_goes_on(run: Callable[..., None]) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        build = it.push("echo begun; sleep 1000")
        await it.said(build, "begun")
        waiting = it.push("echo mine")
        await it.said(waiting, "Another build of this app must end first.")
        began = time.monotonic()
        builds.cancel_build(it.db, it.now(build), it.ann)
        it.platform.hints.wake("cancelled", "builds")
        done = await it.ended(build)
        assert time.monotonic() - began < 8
        assert (done.status, done.failure) == ("failed", "The build was cancelled by ann@example.com.")
        assert it.output(build).count("cancelled by") == 1
        assert (await it.ended(waiting)).status == "succeeded"
        assert it.output(waiting).count("must end first") == 1

    run(scenario)


@pytest.mark.parametrize("agent_too", [False, True])
def test_killed_in_the_middle_of_a_cancellation(run: Callable[..., None], agent_too: bool) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        build = it.push("echo begun; sleep 1000")
        await it.said(build, "begun")
        await it.kill()  # it never hears of it
        builds.cancel_build(it.db, it.now(build), it.ann)
        if agent_too:
            it.agent.kill()
        it.start()
        await asyncio.sleep(0.3)
        await it.kill()  # while it clears away
        if agent_too:
            it.agent.start()
        it.start()
        await it.ended(build)
        assert it.output(build).count("The build was cancelled by ann@example.com.") == 1

    run(scenario)


def test_killed_as_the_cache_is_saved(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        put = it.platform.store.put_file
        stuck = asyncio.Event()
        tried = 0

        def never(key: str, path: Path) -> int:
            nonlocal tried
            if key.startswith("caches/"):
                tried += 1
                stuck.set()
                raise RuntimeError("killed here")
            return put(key, path)

        monkeypatch.setattr(it.platform.store, "put_file", never)
        build = it.push("echo kept > $CACHE/n")
        await asyncio.wait_for(stuck.wait(), 60)
        assert it.now(build).status == "succeeded" and it.platform.transcripts.finished(build.id)
        await asyncio.sleep(1)
        assert tried <= 2  # a fault of the platform is no reason to try for ever without a pause
        await it.kill()
        assert not list(it.platform.store.list("caches/"))
        monkeypatch.undo()
        it.start()
        await it.ended(build)
        assert list(it.platform.store.list("caches/")) == [f"caches/{it.app.id}"]

    run(scenario)


def test_a_store_that_is_down_is_waited_for(run: Callable[..., None]) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        in_the_way = it.directory / "store" / "slugs"
        in_the_way.write_text("no directory")
        build = it.push("echo built")
        await it.said(build, "store for slugs fails: The object store cannot be written")
        await it.said(build, "This build waits, and tries again.")
        in_the_way.unlink()
        assert (await it.ended(build)).status == "succeeded"
        assert it.output(build).count("store for slugs fails") == 1

    run(scenario)


def test_a_store_that_stays_down_fails_the_build(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_steps, "STORE_PATIENCE", 2.0)

    async def scenario(it: Service) -> None:
        it.start()
        (it.directory / "store" / "slugs").write_text("no directory")
        build = it.push("echo built")
        assert (await it.ended(build)).status == "failed"
        assert "Nothing was released. Push again later." in it.output(build)

    run(scenario)


def test_an_unexpected_fault_is_tried_again_and_then_told(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pogo.loops import builds as loop

    monkeypatch.setattr(loop, "PAUSES", (0.1, 0.1))

    async def scenario(it: Service) -> None:
        it.start()
        fetch, left = it.containers.fetch, [1]

        async def broken(id: str, name: str, to: Path) -> None:
            if left and left[0]:
                left[0] -= 1
                raise RuntimeError("a bug")
            await fetch(id, name, to)

        monkeypatch.setattr(it.containers, "fetch", broken)
        build = it.push("echo built")
        assert (await it.ended(build)).status == "succeeded"
        assert it.output(build).count("It begins again in") == 1 and it.output(build).count("\nbuilt\n") == 2
        left[0] = 99
        build = it.push("echo built")
        assert (await it.ended(build)).status == "failed"
        assert "could not finish the build, in 3 attempts (an internal error). Nothing was released." in it.output(
            build
        )

    run(scenario)


def test_huge_output_is_cut_and_hurts_nobody(run: Callable[..., None]) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        line = "perl -e 'print q(x) x (10 << 20), qq(\\n)'"
        build = it.push(f"{line}; yes 'a line of output that says nothing at all' | head -c 100M; echo; echo end")
        slowest, began = 0.0, time.monotonic()
        while not it.now(build).cleared_at:
            at = time.monotonic()
            await asyncio.sleep(0.02)
            slowest = max(slowest, time.monotonic() - at)
            assert at - began < 120
        said = it.output(build)
        assert it.now(build).status == "succeeded"
        assert len(said) < 20_100_000 and "Output was cut here: it is longer than 20000000 bytes." in said
        assert "Released v" in said[-300:], said[-300:]
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        print(f"100 MB of output: {time.monotonic() - began:.1f} s, slowest turn {slowest:.3f} s, {grown} MB more")
        assert grown < 200

    run(scenario)


def test_pruning_keeps_what_is_named_and_repairs_what_a_kill_left(run: Callable[..., None]) -> None:
    async def scenario(it: Service) -> None:
        it.start()
        for number in range(3):
            await it.ended(it.push(f"echo {number} > $BUILD/n"))
        slugs = list(it.platform.store.list("slugs/"))
        assert len(slugs) == 3
        ghost = f"slugs/{'0' * 64}-{builds.list_builds(it.db, it.app)[0].id}.squashfs"
        it.platform.store.put(ghost, [b"killed between the store and the release"])
        from pogo.services import garbage

        garbage.prune_slugs(it.db, 2)  # killed after the decision, before any file went
        assert len(garbage.pruned_blobs(it.db)) == 1
        for _ in range(2):
            pruning.prune(it.platform)
        left = list(it.platform.store.list("slugs/"))
        assert len(left) == 2 and ghost not in left
        assert garbage.pruned_blobs(it.db) == []

    run(scenario, keep_slugs=2)
