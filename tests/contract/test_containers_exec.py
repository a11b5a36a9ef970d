"""One more process in a running container, the same for the real driver and its double."""

from __future__ import annotations

import pytest
import uvloop
from containers_rig import Rig, behaviour
from exec_rig import ENV, Runner, Scenario, agent, begin, finish, real, running

from pogo.containers.memory import MemoryContainers
from pogo.errors import ContainerError, NotFound

__all__ = ["agent"]  # a fixture


@pytest.fixture(params=["memory", "lxc"])
def run(request: pytest.FixtureRequest) -> Runner:
    if request.param == "lxc":
        agent = request.getfixturevalue("agent")
        return lambda scenario: real(agent, scenario)

    async def on_double(scenario: Scenario) -> None:
        await scenario(Rig(MemoryContainers(behaviour), "any", real=False))

    return lambda scenario: uvloop.run(on_double(scenario))


@pytest.mark.parametrize("status", [0, 1, 42, 143])
def test_output_and_exit_status(run: Runner, status: int) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            execution = await begin(rig, id, ("print", "hello"), ("exit", str(status)))
            assert await finish(execution) == (status, b"hello")
            seen = await rig.seen(id)
            assert seen and seen.exit is None

    run(scenario)


def test_input_of_a_pipe_and_its_end(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            execution = await begin(rig, id, ("copy",), ("exit", "3"))
            data = b"\x00\x04\xff" * 5000
            await execution.write(data)
            await execution.write_eof()
            assert await finish(execution) == (3, data)

    run(scenario)


def test_all_output_arrives(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            execution = await begin(rig, id, ("count", "1", "100000"))
            status, output = await finish(execution)
            assert (status, output.count(b"\n"), output[-7:]) == (0, 100_000, b"100000\n")

    run(scenario)


def test_closing_hangs_up_the_process_and_nothing_else(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            execution = await begin(rig, id, ("wait",))
            await execution.close()
            other = await begin(rig, id, ("print", "still here"))
            assert await finish(other) == (0, b"still here")
            seen = await rig.seen(id)
            assert seen and seen.exit is None

    run(scenario)


def test_it_ends_with_the_container(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            execution = await begin(rig, id, ("print", "begun"), ("wait",))
            assert await execution.read() == b"begun"
            await rig.containers.stop(id, 0)
            assert await finish(execution) == (137, b"")

    run(scenario)


def test_what_cannot_be_joined(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(NotFound):
            await begin(rig, "nothing-here", ("exit", "0"))
        async with running(rig) as id:
            with pytest.raises(ContainerError):
                await rig.containers.exec(id, (), ENV, None)
            await rig.containers.stop(id, 0)
            await rig.end(id)
            with pytest.raises(NotFound):
                await begin(rig, id, ("exit", "0"))

    run(scenario)
