"""What the tests of processes that join a running container share."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import uvloop
from containers_lxc import STACK, AgentProcess, agent_installation, missing
from containers_rig import Rig, Step, shell

from pogo.containers import Execution
from pogo.containers.agent import AgentContainers

Scenario = Callable[[Rig], Awaitable[None]]
Runner = Callable[[Scenario], None]
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/app"}


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    if reason := missing():
        pytest.skip(reason)
    with agent_installation() as found:
        yield found


def real(agent: AgentProcess, scenario: Scenario) -> None:
    async def main() -> None:
        await scenario(Rig(AgentContainers(agent.installation.socket), STACK, real=True))

    uvloop.run(main())


async def begin(rig: Rig, id: str, *steps: Step, tty: tuple[int, int] | None = None) -> Execution:
    command = shell(steps) if rig.real else ("steps", json.dumps(steps))
    return await rig.containers.exec(id, command, ENV, tty)


async def everything(execution: Execution) -> bytes:
    output = b""
    async with asyncio.timeout(15):
        while data := await execution.read():
            output += data
    return output


async def finish(execution: Execution) -> tuple[int | None, bytes]:
    output = await everything(execution)
    async with asyncio.timeout(15):
        status = await execution.wait()
    await execution.close()
    return status, output


@contextlib.asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[str]:
    id = await rig.start(("print", "up\n"), ("wait",))
    await rig.said(id, b"up\n")
    try:
        yield id
    finally:
        await rig.containers.remove(id)
