"""A real installation of containers for tests: its own state directory, subnet, uids and pogo-agent.

Everything it makes is removed again, and that is checked, whatever the tests did.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop
from containers_rig import Rig

from pogo.agent import cgroups
from pogo.agent.installation import Installation, load
from pogo.containers.agent import AgentContainers

STACK = "pogo-13"
Scenario = Callable[[Rig], Awaitable[None]]


def stack_image() -> Path | None:
    """The squashfs image of a stack on this machine: `$POGO_TEST_STACK`, else the newest that was built."""
    if named := os.environ.get("POGO_TEST_STACK"):
        return Path(named)
    built = sorted(Path("/var/cache/pogo/stacks").glob("pogo-13*.squashfs"), key=lambda path: path.stat().st_mtime)
    return built[-1] if built else None


def missing() -> str:
    """Why containers cannot be run here; empty where they can."""
    if os.geteuid() != 0:
        return "containers need root"
    tools = [tool for tool in ("lxc-execute", "nft", "mksquashfs") if shutil.which(tool) is None]
    if tools:
        return f"not installed: {', '.join(tools)}"
    return "" if stack_image() else "no stack image: run bin/up, or set POGO_TEST_STACK"


class AgentProcess:
    """pogo-agent as a child of the tests, which may be killed and started again."""

    def __init__(self, state: Path, **settings: str) -> None:
        number = random.randrange(256)
        self.environ = {
            **os.environ,
            "POGO_CONFIG": "/nonexistent",
            "POGO_STATE_DIR": str(state),
            "POGO_USER": "nobody",
            "POGO_SUBNET": f"10.{random.randrange(90, 200)}.{number}.0/24",
            "POGO_UID_BASE": str(1_500_000_000 + number * 65536 * 20),
            "POGO_MAX_APPS": "20",
            **settings,
        }
        self.installation: Installation = load(self.environ)
        self.log = state / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, action: str) -> list[str]:
        return [sys.executable, "-c", "from pogo.agent.command import main; main()", action]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command("serve"), env=self.environ, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"pogo-agent did not start: {self.log.read_text()}")
            time.sleep(0.02)

    def _listens(self) -> bool:
        import socket

        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.installation.socket))
            except OSError:
                return False
        return True

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(10)

    def cleanup(self) -> None:
        subprocess.run(self.command("cleanup"), env=self.environ, check=True, timeout=60)


def leftovers(installation: Installation) -> list[str]:
    """What an installation has on this machine beyond its own directory."""
    found = [str(path) for hierarchy in cgroups.hierarchies() for path in hierarchy.glob(f"{installation.cgroup}*")]
    found += [path.name for path in Path("/sys/class/net").glob(f"pg{installation.tag}*")]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(installation.state) in line]
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    found += [line for line in tables.splitlines() if installation.tag in line]
    routes = subprocess.run(["ip", "route", "show", "type", "unreachable"], capture_output=True, text=True, check=True)
    found += [line for line in routes.stdout.splitlines() if str(installation.subnet) in line]
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
    found += [line for line in loops.splitlines() if str(installation.state) in line]
    return found


def loops(directory: Path) -> int:
    """How many loop devices show a file of this directory."""
    listed = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
    return listed.count(f"{directory}/")


@contextmanager
def agent_installation(**settings: str) -> Iterator[AgentProcess]:
    """An installation with a running agent and its own copy of a stack image, named STACK."""
    state = Path(tempfile.mkdtemp(prefix="pogo-", dir="/tmp"))
    agent = AgentProcess(state, **settings)
    image = stack_image()
    assert image is not None
    stacks = state / "stacks" / STACK
    stacks.mkdir(parents=True)
    shutil.copyfile(image, stacks / "one.squashfs")  # a file of its own shows whether its loop device is left
    (stacks / "current").symlink_to("one.squashfs")
    try:
        agent.start()
        yield agent
    finally:
        agent.kill(signal.SIGKILL)
        agent.cleanup()
        deadline = time.monotonic() + 5
        while (left := leftovers(agent.installation)) and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(state)
        assert not left, left


# -- for the tests of one agent: a module takes these by `agent = containers_lxc.agent`, `run = containers_lxc.run`


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with agent_installation() as agent:
        yield agent


@pytest.fixture
def run(agent: AgentProcess) -> Callable[[Scenario], None]:
    """Plays a scenario on the agent's containers, in the event loop that pogod uses."""
    rig = Rig(AgentContainers(agent.installation.socket), STACK, real=True)

    async def body(scenario: Scenario) -> None:
        await scenario(rig)

    return lambda scenario: uvloop.run(body(scenario))
