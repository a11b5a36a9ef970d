"""What every driver of containers does, by the same tests for the real one and for its double."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import uvloop
from containers_lxc import STACK, agent_installation, missing
from containers_rig import Rig, behaviour

from pogo.containers import Frame
from pogo.containers.agent import AgentContainers
from pogo.containers.memory import MemoryContainers
from pogo.errors import Conflict, ContainerError, NotFound

Scenario = Callable[[Rig], Awaitable[None]]
Runner = Callable[[Scenario], None]


@pytest.fixture(scope="module", params=["memory", "lxc"])
def run(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """Runs a scenario on a driver, in the event loop that pogod uses."""
    if request.param == "memory":

        async def on_double(scenario: Scenario) -> None:
            await scenario(Rig(MemoryContainers(behaviour), "any", real=False))

        yield lambda scenario: uvloop.run(on_double(scenario))
        return
    if reason := missing():
        pytest.skip(reason)
    with agent_installation() as agent:

        async def on_lxc(scenario: Scenario) -> None:
            await scenario(Rig(AgentContainers(agent.installation.socket), STACK, real=True))

        yield lambda scenario: uvloop.run(on_lxc(scenario))


async def frames(stream: AsyncIterator[Frame]) -> list[Frame]:
    return [frame async for frame in stream]


@pytest.mark.parametrize("status", [0, 1, 3, 127, 143, 255])
def test_exit_status_is_kept(run: Runner, status: int) -> None:
    async def scenario(rig: Rig) -> None:
        before = time.time()
        end, output = await rig.run(("print", "hello\n"), ("exit", str(status)))
        assert (end.status, end.oom, output) == (status, False, b"hello\n")
        assert before - 1 < end.at < time.time() + 1

    run(scenario)


@pytest.mark.parametrize("terminal", [None, (24, 80)])
def test_what_a_process_leaves_in_the_background_ends_with_it(run: Runner, terminal: tuple[int, int] | None) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("leave",), ("print", "done\n"), ("exit", "7"), tty=terminal)
        assert (await rig.end(id, within=10)).status == 7
        assert (await rig.output(id)).split() == [b"done"]

    run(scenario)


def test_start_again_finds_the_same_container(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        spec = rig.spec(("print", "once\n"), ("wait",), labels={"kind": "dyno", "name": "web.1"})
        first = await rig.containers.start(spec)
        others = await asyncio.gather(*(rig.containers.start(spec) for _ in range(3)))
        assert all(other == first for other in others)
        assert first.labels == {"kind": "dyno", "name": "web.1"}
        assert [item for item in await rig.containers.list() if item.id == spec.id] == [first]
        await rig.said(spec.id, b"once\n")
        await rig.containers.stop(spec.id, 0)
        assert await rig.output(spec.id) == b"once\n"
        assert (await rig.containers.start(spec)).exit == await rig.end(spec.id)
        await rig.containers.remove(spec.id)
        assert await rig.seen(spec.id) is None

    run(scenario)


def test_at_once_started_twice_is_one_container(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        spec = rig.spec(("print", "once\n"), ("exit", "0"))
        starts = await asyncio.gather(*(rig.containers.start(spec) for _ in range(4)))
        assert len({item.address for item in starts}) == 1
        assert await rig.output(spec.id) == b"once\n"

    run(scenario)


def test_containers_have_different_addresses(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        ids = await asyncio.gather(*(rig.start(("wait",)) for _ in range(4)))
        running = [item for item in await rig.containers.list() if item.id in ids]
        assert len({item.address for item in running}) == 4
        await asyncio.gather(*(rig.containers.remove(id) for id in ids))

    run(scenario)


def test_what_cannot_start_leaves_nothing(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        spec = rig.spec(command=())
        with pytest.raises(ContainerError):
            await rig.containers.start(spec)
        assert await rig.seen(spec.id) is None

    run(scenario)


def test_output_is_read_from_any_offset_again(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "one\n"), ("pause", "0.2"), ("print", "two\nthree"), ("exit", "0"))
        seen = await frames(rig.containers.logs(id))
        assert b"".join(frame.data for frame in seen) == b"one\ntwo\nthree"
        assert all(frame.data.endswith(b"\n") for frame in seen[:-1])
        assert sorted(frame.at for frame in seen) == [frame.at for frame in seen]
        for index, frame in enumerate(seen):
            assert await frames(rig.containers.logs(id, frame.offset)) == seen[index + 1 :]
            assert await frames(rig.containers.logs(id, frame.offset - 1)) == seen[index:]

    run(scenario)


def test_output_is_followed_live(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "early\n"), ("wait",))
        async with aclosing(rig.containers.logs(id)) as stream:  # type: ignore[type-var]
            assert (await anext(stream)).data == b"early\n"
            rest = asyncio.ensure_future(anext(stream, None))
            await asyncio.sleep(0.1)
            assert not rest.done()
            await rig.containers.stop(id, 10)
            assert await asyncio.wait_for(rest, 10) is None

    run(scenario)


def test_collected_output_is_gone_and_not_lost(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "one\n"), ("pause", "0.3"), ("print", "two\n"), ("wait",))
        await rig.said(id, b"two\n")
        async with aclosing(rig.containers.logs(id)) as stream:  # type: ignore[type-var]
            first = await anext(stream)
        await rig.containers.collected(id, first.offset)
        await rig.containers.stop(id, 10)
        left = await frames(rig.containers.logs(id))
        assert [(frame.data, frame.lost) for frame in left] == [(b"two\n", 0)]
        await rig.containers.collected("unknown", 10)

    run(scenario)


def test_uncollected_output_is_bounded_and_counted(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        count = 200_000 if rig.real else 20_000
        id = await rig.start(("count", "1", str(count)), ("print", "last\n"), ("exit", "0"), spool=64 << 10)
        await rig.end(id)
        left = await frames(rig.containers.logs(id))
        lines = sum(frame.data.count(b"\n") for frame in left)
        assert left[-1].data.endswith(b"last\n")
        assert sum(len(frame.data) for frame in left) <= 64 << 10
        assert any(frame.lost for frame in left)
        assert lines + sum(frame.lost for frame in left) == count + 1

    run(scenario)


def test_stop_terminates(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "up\n"), ("wait",))
        await rig.said(id, b"up")
        started = time.monotonic()
        await rig.containers.stop(id, 20)
        assert time.monotonic() - started < 15
        assert (await rig.end(id)).status == 143
        await rig.containers.stop(id, 20)
        await rig.containers.stop("unknown", 20)

    run(scenario)


def test_stop_kills_after_the_grace(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("stubborn",), ("print", "up\n"), ("wait",))
        await rig.said(id, b"up")
        started = time.monotonic()
        await rig.containers.stop(id, 0.5)
        assert (await rig.end(id)).status == 137
        assert 0.4 < time.monotonic() - started < 5

    run(scenario)


def test_the_limit_for_which_it_is_stopped_is_told(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        for limit in ("memory", "disk", ""):
            id = await rig.start(("stubborn",), ("wait",))
            await rig.containers.stop(id, 0, exceeded=limit)
            end = await rig.end(id)
            assert (end.status, end.oom, end.exceeded) == (137, limit == "memory", limit)

    run(scenario)


def test_second_stop_shortens_the_grace_and_never_lengthens_it(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("stubborn",), ("print", "up\n"), ("wait",))
        await rig.said(id, b"up")
        started = time.monotonic()
        for grace in (60, 0.5, 60):
            await rig.containers.stop(id, grace)
        assert (await rig.end(id)).status == 137
        assert 0.4 < time.monotonic() - started < 5

    run(scenario)


def test_remove_kills_and_forgets(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("stubborn",), ("wait",))
        await rig.containers.remove(id)
        assert await rig.seen(id) is None
        await rig.containers.remove(id)
        with pytest.raises(NotFound):
            await rig.output(id)
        with pytest.raises(NotFound):
            await rig.containers.attach(id)

    run(scenario)


def test_pipes_are_fed_and_read_by_the_attachment(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "before\n"), ("copy",), ("exit", "9"), stdin=True)
        await asyncio.sleep(0.1)
        attachment = await rig.containers.attach(id)
        with pytest.raises(Conflict):
            await rig.containers.attach(id)
        sent = [b"%d " % number * 1000 for number in range(100)]
        for data in sent:
            await attachment.write(data)
        await attachment.write_eof()
        received = b""
        while data := await attachment.read():
            received += data
        assert received == b"before\n" + b"".join(sent)
        assert await attachment.read() == b""
        assert (await rig.end(id)).status == 9
        await attachment.close()
        assert (await rig.end(id)).status == 9

    run(scenario)


def test_output_of_an_ended_process_is_still_given_to_its_attachment(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "short\n"), ("exit", "4"), stdin=True)
        assert (await rig.end(id)).status == 4
        attachment = await rig.containers.attach(id)
        assert await attachment.read() == b"short\n"
        assert await attachment.read() == b""
        await attachment.write(b"nobody reads this")
        await attachment.close()

    run(scenario)


def test_closing_the_attachment_hangs_up(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "up\n"), ("wait",), stdin=True)
        attachment = await rig.containers.attach(id)
        assert await attachment.read() == b"up\n"
        await attachment.close()
        assert (await rig.end(id)).status == 129

    run(scenario)


def test_without_pipe_or_terminal_there_is_nothing_to_attach(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("wait",))
        with pytest.raises(Conflict):
            await rig.containers.attach(id)
        await rig.containers.remove(id)

    run(scenario)


def test_outputs_are_fetched_and_continued(run: Runner, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        first = await rig.start(("output", "slug", "made"), ("exit", "0"), outputs=True)
        await rig.end(first)
        await rig.containers.fetch(first, "slug", tmp_path / "slug")
        assert (tmp_path / "slug").read_text() == "made"
        with pytest.raises(NotFound):
            await rig.containers.fetch(first, "other", tmp_path / "other")
        assert not (tmp_path / "other").exists()

        second = await rig.start(
            ("output", "more", "too"), ("print", "done\n"), ("wait",), outputs=True, continues=first
        )
        await rig.said(second, b"done")
        with pytest.raises(ContainerError):
            await rig.containers.remove(first)
        with pytest.raises(ContainerError):
            await rig.containers.fetch(second, "more", tmp_path / "more")
        await rig.containers.stop(second, 0)
        await rig.end(second)
        await rig.containers.fetch(second, "more", tmp_path / "more")
        assert (tmp_path / "more").read_text() == "too"
        await rig.containers.remove(second)
        await rig.containers.remove(first)

    run(scenario)


def test_watch_tells_who_ended(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        watching = asyncio.ensure_future(anext(aiter(rig.containers.watch())))
        await asyncio.sleep(0.2)
        id = await rig.start(("exit", "0"))
        assert await asyncio.wait_for(watching, 10) == id

    run(scenario)


def test_what_containers_use(run: Runner) -> None:
    async def scenario(rig: Rig) -> None:
        waiting = await rig.start(("wait",))
        usage = (await rig.containers.usage())[waiting]
        assert usage.processes >= 1
        assert usage.total >= 0
        await rig.containers.remove(waiting)
        assert waiting not in await rig.containers.usage()

    run(scenario)
