"""A process in a container until its first output: bare namespaces, LXC by hand, and the platform's containers.

All three run the same command on the same stack image. Namespaces and LXC start on a file system that
is mounted already and have no network of their own; ours makes both each time.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from installation import Installation

from bench import by_hand
from bench.table import show
from pogo.containers import ContainerSpec, Limits
from pogo.containers.agent import AgentContainers

ROUNDS = 20
COMMAND = ("/bin/sh", "-c", "echo up")
LXC = """lxc.uts.name = bench
lxc.rootfs.path = dir:{root}
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed
lxc.apparmor.profile = unconfined
lxc.console.path = none
"""


def measure(platform: Installation) -> None:
    found: dict[str, list[float]] = {"bare namespaces (unshare, chroot)": [], "lxc-execute by hand": [], "pogo": []}
    image = (platform.state / "stacks" / "pogo-13" / "current").resolve()
    with tempfile.TemporaryDirectory() as directory, by_hand.root(image, Path(directory)) as root:
        config = Path(directory) / "lxc.conf"
        config.write_text(LXC.format(root=root))
        bare = ("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "chroot", str(root), *COMMAND)
        lxc = ("lxc-execute", "-n", "bench", "-P", directory, "-f", str(config), "--", *COMMAND)
        for number in range(ROUNDS):
            for name, command in zip(found, (bare, lxc), strict=False):
                found[name].append(_until_output(command))
            found["pogo"].append(asyncio.run(_ours(platform, number)))
    show(found, "ms")


def _until_output(command: tuple[str, ...]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n", f"{command[0]} did not run the command"
        return (time.perf_counter() - began) * 1000


async def _ours(platform: Installation, number: int) -> float:
    containers = AgentContainers(platform.state / "run" / "agent.sock")
    spec = ContainerSpec(f"bench-{number}", 90, "pogo-13", COMMAND, {"PATH": "/usr/bin:/bin"}, Limits(512 << 20))
    began = time.perf_counter()
    await containers.start(spec)
    async with aclosing(containers.logs(spec.id)) as frames:
        async for frame in frames:
            assert frame.data == b"up\n"
            break
    taken = (time.perf_counter() - began) * 1000
    await containers.remove(spec.id)
    return taken
