"""Of real LXC containers: their network, who may call, how fast they are, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import containers_lxc
import pytest
from containers_lxc import STACK, AgentProcess, Scenario, loops, missing
from containers_rig import Rig, image

from pogo.agent import cgroups
from pogo.errors import ContainerError
from pogo.stack import aptsources

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

agent, run = containers_lxc.agent, containers_lxc.run


# -- network


class Listener:
    """A TCP server of this host, on an address that containers could know."""

    def __enter__(self) -> tuple[str, int]:
        self.socket = socket.create_server(("0.0.0.0", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0], self.socket.getsockname()[1]

    def __exit__(self, *_: object) -> None:
        self.socket.close()


CONNECT = "use IO::Socket::INET; print IO::Socket::INET->new(PeerAddr => $ARGV[0], Timeout => 3) ? 'open' : 'closed'"
SERVE = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 5000, Listen => 9, ReuseAddr => 1) or die; "
    "print \"up\\n\"; while (my $c = $s->accept) { print $c 'served'; close $c }"
)


def test_only_this_host_connects_to_a_container(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        script = f"$| = 1; {SERVE}"
        server = rig.spec(command=("perl", "-e", script))
        address = (await rig.containers.start(server)).address
        await rig.said(server.id, b"up")
        with socket.create_connection((address, 5000), timeout=3) as connection:
            assert connection.recv(100) == b"served"

        async def from_container(target: str) -> str:
            return (await rig.run(command=("perl", "-e", CONNECT, target)))[1].decode()

        with Listener() as (host, port):
            with socket.create_connection((host, port), timeout=3):
                pass
            started = time.monotonic()
            assert await from_container(f"{address}:5000") == "closed"
            assert await from_container(f"{host}:{port}") == "closed"
            assert await from_container(f"169.254.1.1:{port}") == "closed"
            assert time.monotonic() - started < 3  # refused, not waited for
        await rig.containers.remove(server.id)

    run(scenario)


def test_container_reaches_itself_and_a_resolver(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        both = (
            f"$| = 1; if (!fork) {{ {SERVE} }} sleep 1; "
            + CONNECT.replace("$ARGV[0]", '"$ENV{SELF}:5000"')
            + "; kill 9, -1"
        )
        spec = rig.spec(command=("sh", "-c", "SELF=$(hostname -i | awk '{print $1}') exec perl -e \"$CODE\""))
        _, output = await rig.run(command=spec.command, env={**spec.env, "CODE": both})
        assert b"open" in output
        # A name that this machine resolves: packages come from there.
        host = urlsplit(aptsources.find_mirror(aptsources.read_sources(), "bookworm").main).hostname or ""
        end, output = await rig.run(command=("getent", "ahostsv4", host))
        assert (end.status, bool(output)) == (0, True)

    run(scenario)


# -- nothing is left, and how fast it is


def test_removed_container_leaves_nothing(run: Callable[[Scenario], None], agent: AgentProcess, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        ours = agent.installation
        slug = image(tmp_path, {"app/x": "x"})
        ended = await rig.start(("print", "x"), ("exit", "1"), outputs=True, slug=slug)
        await rig.end(ended)
        running = await rig.start(("stubborn",), ("wait",), slug=slug, tty=(24, 80))
        assert loops(tmp_path) == 1
        interfaces = len([*Path("/sys/class/net").glob(f"pg{ours.tag}*")])
        for id in (ended, running):
            await rig.containers.remove(id)
            paths = [ours.records / id, ours.scratch / id]
            paths += [hierarchy / ours.cgroup / kind / id for hierarchy in cgroups.hierarchies() for kind in "cm"]
            assert not [path for path in paths if path.exists()]
        await asyncio.sleep(0.3)
        assert loops(tmp_path) == 0
        assert len([*Path("/sys/class/net").glob(f"pg{ours.tag}*")]) < interfaces
        assert str(ours.state) not in Path("/proc/mounts").read_text()

    run(scenario)


def test_failed_boot_is_undone_and_explained(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        broken = tmp_path / "broken.squashfs"
        broken.write_bytes(b"no squashfs" * 1000)
        spec = rig.spec(slug=broken)
        with pytest.raises(ContainerError, match=f"{spec.id} cannot be started.*squashfs"):
            await rig.containers.start(spec)
        assert await rig.seen(spec.id) is None
        await asyncio.sleep(0.2)
        assert loops(tmp_path) == 0
        for slot in (0, 21):
            with pytest.raises(ContainerError, match=r"slot .* from 1 to 20"):
                await rig.start(("exit", "0"), slot=slot)
        with pytest.raises(ContainerError, match="no-such-file"):
            await rig.start(("exit", "0"), slug=tmp_path / "no-such-file")

    run(scenario)


def test_the_user_of_the_installation_needs_no_privilege(agent: AgentProcess) -> None:
    script = """
import asyncio, os, sys
from pathlib import Path
from pogo.containers import ContainerSpec, Limits
from pogo.containers.agent import AgentContainers
from pogo.errors import ContainerError

os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[3]))

async def main(containers):
    limits = Limits(memory=64 << 20)
    env = {"PATH": "/usr/bin:/bin"}
    make = ("sh", "-c", "echo hi; echo made > /pogo/out/f")
    first = ContainerSpec("user-1", 1, sys.argv[4], make, env, limits, outputs=True)
    await containers.start(first)
    print([frame.data async for frame in containers.logs("user-1")])
    await containers.collected("user-1", 1)
    target = Path(sys.argv[5])
    await containers.fetch("user-1", "f", target)
    print(target.read_text(), target.stat().st_uid == os.getuid())
    await containers.start(ContainerSpec("user-2", 1, sys.argv[4], ("cat",), env, limits, stdin=True))
    attachment = await containers.attach("user-2")
    await attachment.write(b"echo"); await attachment.write_eof()
    print(await attachment.read())
    await containers.stop("user-2", 1)
    await containers.remove("user-1"); await containers.remove("user-2")
    print([item for item in await containers.list() if item.id.startswith("user-")])
    for path in ("c", "c/user-1/spec", "../scratch"):
        try:
            os.listdir(Path(sys.argv[1]).parent / path)
        except (PermissionError, FileNotFoundError):
            print("closed")

asyncio.run(main(AgentContainers(Path(sys.argv[1]))))
"""
    mine = agent.installation
    target = mine.state / "fetched"
    args = [sys.executable, "-c", script, str(mine.socket), str(mine.gid), str(mine.uid), STACK, str(target)]
    done = subprocess.run(args, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == ["[b'hi\\n']", "made", " True", "b'echo'", "[]", "closed", "closed", "closed"], (
        done
    )


def test_only_the_user_of_the_installation_may_call(agent: AgentProcess) -> None:
    script = """
import os, socket, sys

os.setgid(int(sys.argv[2])); os.setuid(4321)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    try:
        connection.sendall(b'{"op": "list"}\\n')
        print("answer:", connection.recv(1000))
    except ConnectionError:
        print("answer: b''")
"""
    args = [sys.executable, "-c", script, str(agent.installation.socket), str(agent.installation.gid)]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.stdout == "answer: b''\n", done


def test_boot_time(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        times = []
        for _ in range(20):
            spec = rig.spec(("print", "x\n"), ("exit", "0"))
            started = time.perf_counter()
            await rig.containers.start(spec)
            await rig.said(spec.id, b"x")
            times.append((time.perf_counter() - started) * 1000)
            await rig.end(spec.id)
        print(f"\nstart until first output: median {statistics.median(times):.0f} ms, least {min(times):.0f} ms")
        assert statistics.median(times) < 1000

    run(scenario)


def test_many_boots_at_once(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        ends = await asyncio.gather(*(rig.run(("print", f"{number}\n"), ("exit", str(number))) for number in range(16)))
        assert [(end.status, output) for end, output in ends] == [(n, f"{n}\n".encode()) for n in range(16)]

    before = threading.active_count()
    run(scenario)
    assert threading.active_count() <= before
