"""Every part of the root half may be killed at any time: what runs goes on, what was lost is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from containers_lxc import STACK, AgentProcess, agent_installation, leftovers, loops, missing
from containers_rig import Rig, image

from pogo.agent import cgroups, records, spool, syscalls
from pogo.containers.agent import AgentContainers
from pogo.containers.spool import Reader
from pogo.errors import Unavailable

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

COUNT = "n=0; while [ $n -lt 40 ]; do n=$((n+1)); echo $n; sleep 0.05; done; exit 6"


@pytest.fixture
def agent() -> Iterator[AgentProcess]:
    with agent_installation() as agent:
        yield agent


def rig_of(agent: AgentProcess) -> Rig:
    return Rig(AgentContainers(agent.installation.socket), STACK, real=True)


def monitor_of(agent: AgentProcess, id: str) -> int:
    return int((records.directory(agent.installation, id) / "pid").read_text())


def test_killed_agent_harms_nothing_and_adopts(agent: AgentProcess) -> None:
    async def scenario() -> None:
        rig = rig_of(agent)
        counting = await rig.start(command=("sh", "-c", COUNT))
        ending = await rig.start(("print", "bye\n"), ("pause", "0.5"), ("exit", "5"))
        waiting = await rig.start(("print", "up\n"), ("wait",))
        terminal = await rig.start(command=("bash", "--norc"), tty=(24, 80))
        attachment = await rig.containers.attach(terminal)
        reading = asyncio.ensure_future(rig.output(counting))
        await rig.said(waiting, b"up")
        agent.kill(signal.SIGKILL)
        with pytest.raises(Unavailable):
            await rig.containers.list()
        await rig.containers.stop(waiting, 5)
        await attachment.write(b"exit 7\n")
        while await attachment.read():
            pass
        await asyncio.sleep(0.6)
        agent.start()
        assert await reading == "".join(f"{n}\n" for n in range(1, 41)).encode()
        statuses = [(await rig.end(id)).status for id in (counting, ending, waiting, terminal)]
        assert statuses == [6, 5, 143, 7]
        assert await rig.output(ending) == b"bye\n"
        for item in await rig.containers.list():
            await rig.containers.remove(item.id)

    uvloop.run(scenario())


def test_addresses_and_loop_devices_stay_unique_after_a_restart(agent: AgentProcess, tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = rig_of(agent)
        slug = image(tmp_path, {"app/x": "x"})
        for _ in range(4):
            for _ in range(3):
                await rig.start(("wait",), slug=slug)
            agent.kill(signal.SIGKILL)
            agent.start()
        seen = await rig.containers.list()
        assert len(seen) == len({item.address for item in seen}) == 12
        assert all(item.exit is None for item in seen)
        assert loops(tmp_path) == loops(agent.installation.state) == 1

    uvloop.run(scenario())


def test_container_of_a_killed_monitor_is_ended_and_reported_as_lost(agent: AgentProcess) -> None:
    async def scenario() -> None:
        rig = rig_of(agent)
        now = await rig.start(("stubborn",), ("print", "said\n"), ("wait",))
        while_dead = await rig.start(("stubborn",), ("wait",), outputs=True)
        await rig.said(now, b"said")
        os.kill(monitor_of(agent, now), signal.SIGKILL)
        assert (await rig.end(now)).status == -1
        assert not cgroups.processes(records.group(agent.installation, now, background=False))
        assert await rig.output(now) == b"said\n"

        agent.kill(signal.SIGKILL)
        os.kill(monitor_of(agent, while_dead), signal.SIGKILL)
        agent.start()
        assert (await rig.end(while_dead)).status == -1
        for id in (now, while_dead):
            await rig.containers.remove(id)

    uvloop.run(scenario())


def test_killed_nursery_ends_the_agent_and_nothing_else(agent: AgentProcess) -> None:
    """The agent's supervisor starts both again. Monitors have no parent then, and are missed all the same."""

    async def scenario() -> None:
        rig = rig_of(agent)
        counting, killed = await rig.start(command=("sh", "-c", COUNT)), await rig.start(("stubborn",), ("wait",))
        assert agent.process is not None
        monitors = [monitor_of(agent, id) for id in (counting, killed)]
        (nursery,) = {parent(pid) for pid in monitors}
        assert parent(nursery) == agent.process.pid
        os.kill(nursery, signal.SIGKILL)
        assert agent.process.wait(10) != 0
        assert all(Path(f"/proc/{pid}").exists() for pid in monitors)
        agent.start()
        assert (await rig.run(("print", "new\n"), ("exit", "3")))[1] == b"new\n"
        os.kill(monitors[1], signal.SIGKILL)
        assert (await rig.end(killed)).status == -1
        assert (await rig.end(counting)).status == 6
        assert await rig.output(counting) == "".join(f"{n}\n" for n in range(1, 41)).encode()
        for item in await rig.containers.list():
            await rig.containers.remove(item.id)
        groups = [hierarchy / agent.installation.cgroup / "c" for hierarchy in cgroups.hierarchies()]
        assert not [path for group in groups for path in group.glob("[!.]*/")]

    uvloop.run(scenario())


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_container_whose_monitor_was_killed_before_its_first_step_has_no_output(agent: AgentProcess) -> None:
    """The monitor makes the spool: until then there is a record and nothing else."""

    async def scenario() -> None:
        rig = rig_of(agent)
        id = await rig.start(("wait",))
        os.kill(monitor_of(agent, id), signal.SIGKILL)
        assert (await rig.end(id)).status == -1
        (records.directory(agent.installation, id) / "spool").unlink()
        assert await rig.output(id) == b""
        await rig.containers.remove(id)
        assert await rig.seen(id) is None

    uvloop.run(scenario())


def test_start_is_finished_by_its_monitor_when_the_agent_dies(agent: AgentProcess) -> None:
    async def scenario() -> None:
        rig = rig_of(agent)
        for delay in (0.0, 0.005, 0.02, 0.05):
            spec = rig.spec(("print", "once\n"), ("wait",))
            starting = asyncio.ensure_future(rig.containers.start(spec))
            await asyncio.sleep(delay)
            agent.kill(signal.SIGKILL)
            with contextlib.suppress(Unavailable):
                await starting
            agent.start()
            found = await rig.containers.start(spec)
            assert found.exit is None or found.exit.status == -1
            if found.exit is None:
                await rig.said(spec.id, b"once\n")
            await rig.containers.remove(spec.id)
            assert await rig.seen(spec.id) is None

    uvloop.run(scenario())


def test_cleanup_works_when_everybody_is_dead(agent: AgentProcess, tmp_path: Path) -> None:
    async def scenario() -> None:
        rig = rig_of(agent)
        slug = image(tmp_path, {"app/x": "x"})
        ids = [await rig.start(("stubborn",), ("wait",), slug=slug, outputs=True) for _ in range(3)]
        stopped = monitor_of(agent, ids[0])
        agent.kill(signal.SIGKILL)
        os.kill(stopped, signal.SIGSTOP)
        os.kill(monitor_of(agent, ids[1]), signal.SIGKILL)
        assert leftovers(agent.installation)

    uvloop.run(scenario())
    agent.cleanup()
    deadline = time.monotonic() + 30
    while leftovers(agent.installation) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not leftovers(agent.installation)
    assert not agent.installation.records.exists()
    assert not agent.installation.scratch.exists()
    assert not loops(tmp_path)
    agent.cleanup()


def test_restart_of_the_machine_is_survived(agent: AgentProcess) -> None:
    """After it there are records and files, but no process and no control group."""

    async def before(rig: Rig) -> str:
        id = await rig.start(("wait",), labels={"kind": "dyno"})
        agent.kill(signal.SIGKILL)
        os.kill(monitor_of(agent, id), signal.SIGKILL)
        group = records.group(agent.installation, id, False)
        cgroups.kill(group)
        cgroups.kill(agent.installation.cgroup)
        cgroups.remove(agent.installation.cgroup)
        return id

    async def after(rig: Rig, id: str) -> None:
        assert (await rig.end(id)).status == -1
        await rig.containers.remove(id)
        assert (await rig.run(("exit", "3")))[0].status == 3

    rig = rig_of(agent)
    id = uvloop.run(before(rig))
    agent.start()
    uvloop.run(after(rig, id))


def test_full_disk_drops_output_and_counts_it() -> None:
    disk = syscalls.new_mount("tmpfs", {"size": "64k"}, 0)
    try:
        kept = spool.Spool(Path(f"/proc/self/fd/{disk}/spool"), 1 << 20, 0)
        line = b"x" * 999 + b"\n"
        for number in range(100):
            kept.append(number, line)
        reader = Reader(kept.fd)
        written = reader.read()
        assert 40 < len(written) < 64
        kept.collected(reader.position, reader.line)
        kept.append(100.0, line)
        for later in (reader, Reader(kept.fd, written[-1][0]), Reader(kept.fd)):
            (after,) = later.read()
            assert after[1:] == (100.0, 100 - len(written), line)
        os.close(kept.fd)
    finally:
        os.close(disk)


def test_second_agent_refuses(agent: AgentProcess) -> None:
    second = subprocess.run(
        agent.command("serve"), env=agent.environ, capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == 1
    assert "Another pogo-agent" in second.stderr
