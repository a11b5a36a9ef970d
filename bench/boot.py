"""The same web server until it answers: bare namespaces, LXC by hand, docker and podman where installed, and a dyno.

All of them start it on the same stack image. By hand, the file system is mounted already and the network is the
machine's. A dyno gets its file system, its network and all of its limits each time, from the call of the agent on.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from statistics import median

from installation import CHECKOUT, Installation

from bench import by_hand, engines
from bench.table import show
from pogo.containers import ContainerSpec, Limits
from pogo.containers.agent import AgentContainers

ROUNDS = 20
OURS = "a dyno"
SECONDS = 60
SERVER = (CHECKOUT / "examples" / "procfile" / "server.py").read_text()
LXC = """lxc.uts.name = bench
lxc.rootfs.path = dir:{root}
lxc.net.0.type = none
lxc.mount.auto = proc:mixed
lxc.apparmor.profile = unconfined
lxc.console.path = none
"""
NAMESPACES = ("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
_numbers = itertools.count()


def measure(platform: Installation) -> None:
    with tempfile.TemporaryDirectory() as directory, by_hand.root(image(platform), Path(directory)) as root:
        ways: dict[str, tuple[str, ...]] = {"bare namespaces (unshare, chroot)": (*NAMESPACES, "chroot", str(root))}
        config = Path(directory) / "lxc.conf"
        config.write_text(LXC.format(root=root))
        ways["lxc-execute by hand"] = ("lxc-execute", "-n", "bench", "-P", directory, "-f", str(config), "--")
        with engines.commands(root) as others:
            ways |= others
            found: dict[str, list[float]] = {OURS: [], **{name: [] for name in ways}}
            for _ in range(ROUNDS):
                for name, before in ways.items():
                    found[name].append(_by_hand(before))
                found[OURS].append(asyncio.run(_dyno(platform)))
    show({name: found[name] for name in (*ways, OURS)}, "ms")
    for name in others:
        print(f"  {OURS} is {median(found[name]) / median(found[OURS]):.2f} times as fast as {name}")


def image(platform: Installation) -> Path:
    return (platform.state / "stacks" / "pogo-13" / "current").resolve()


def _by_hand(before: tuple[str, ...]) -> float:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (
        *(word.format(port=port) for word in before),
        "/usr/bin/env",
        f"PORT={port}",
        "/usr/bin/python3",
        "-c",
        SERVER,
    )
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until_answered("127.0.0.1", port, began)
            return (time.perf_counter() - began) * 1000
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def until_answered(address: str, port: int, began: float) -> None:
    """Until a GET is answered with 200. began: of time.perf_counter()."""
    while True:
        connection = http.client.HTTPConnection(address, port, timeout=5)
        try:
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
            return
        except ConnectionError:
            assert time.perf_counter() - began < SECONDS, f"nothing answers on {address}:{port}"
            time.sleep(0.001)
        finally:
            connection.close()


def _spec(command: tuple[str, ...], **env: str) -> ContainerSpec:
    limits = Limits(512 << 20, disk=384 << 20)
    return ContainerSpec(f"bench-{next(_numbers)}", 90, "pogo-13", command, {"PATH": "/usr/bin:/bin", **env}, limits)


async def _dyno(platform: Installation) -> float:
    containers = AgentContainers(platform.state / "run" / "agent.sock")
    spec = _spec(("/usr/bin/python3", "-c", SERVER), PORT="5000")
    began = time.perf_counter()
    started = await containers.start(spec)
    until_answered(started.address, 5000, began)
    taken = (time.perf_counter() - began) * 1000
    await containers.remove(spec.id)
    return taken


async def first_output(platform: Installation) -> float:
    """Milliseconds until the first byte of a container is with who called for it."""
    containers = AgentContainers(platform.state / "run" / "agent.sock")
    spec = _spec(("/bin/sh", "-c", "echo up"))
    began = time.perf_counter()
    await containers.start(spec)
    async with aclosing(containers.logs(spec.id)) as frames:
        async for frame in frames:
            assert frame.data == b"up\n"
            break
    taken = (time.perf_counter() - began) * 1000
    await containers.remove(spec.id)
    return taken
