"""What every log store promises."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pogo.logs import Filter, Line, LogStore
from pogo.logs.files import FileLogs
from pogo.logs.memory import MemoryLogs


@pytest.fixture(params=["files", "memory"])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> LogStore:
    return FileLogs(tmp_path / "logs", 100_000) if request.param == "files" else MemoryLogs()


@pytest.fixture(params=["files", "memory"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> LogStore:
    """Keeps some hundred lines."""
    return FileLogs(tmp_path / "logs", 100) if request.param == "files" else MemoryLogs(300)


def line(text: object, dyno: str = "web.1", source: str = "app", origin: tuple[str, int] | None = None) -> Line:
    return Line(1795435200.123456, source, dyno, str(text), origin)


def texts(lines: list[tuple[str, Line]]) -> list[str]:
    return [line.text for _, line in lines]


async def take(stream: AsyncIterator[tuple[str, Line]], count: int) -> list[tuple[str, Line]]:
    taken = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            taken.append(await anext(stream))
    return taken


def test_lines_come_back_as_they_were(logs: LogStore) -> None:
    lines = [line("a\tb é", origin=("c-1", 10)), line("", "router", "heroku"), line("\x1b[31mred\x1b[0m")]
    logs.append("app", lines)
    logs.append("app", [])
    assert [line for _, line in logs.recent("app", 100)] == lines


def test_a_line_is_made_harmless(logs: LogStore) -> None:
    logs.append("app", [line("a\nb\r\0\ud800\x1b[2J")])
    assert texts(logs.recent("app", 10)) == ["a␊b␍␀?"]


def test_the_last_lines_oldest_first(logs: LogStore) -> None:
    logs.append("app", [line(number) for number in range(5000)])
    assert texts(logs.recent("app", 3)) == ["4997", "4998", "4999"]
    assert texts(logs.recent("app", 9999)) == [str(number) for number in range(5000)]
    assert logs.recent("app", 0) == []
    assert logs.recent("other", 10) == []


def test_filters(logs: LogStore) -> None:
    logs.append(
        "app", [line(dyno, dyno, source) for source in ("app", "heroku") for dyno in ("web.1", "web.2", "run.1")]
    )
    assert texts(logs.recent("app", 10, Filter(source="app"))) == ["web.1", "web.2", "run.1"]
    assert texts(logs.recent("app", 10, Filter(dyno="web"))) == ["web.1", "web.2", "web.1", "web.2"]
    assert texts(logs.recent("app", 1, Filter(source="app", dyno="web"))) == ["web.2"]
    assert logs.recent("app", 1, Filter(dyno="web.3")) == []


def test_followers_get_what_comes_after_an_id(logs: LogStore) -> None:
    async def scenario() -> None:
        logs.append("app", [line(1), line(2), line(3)])
        [(_, _), (second, _), (third, _)] = logs.recent("app", 3)
        assert texts(await take(logs.follow("app", second), 1)) == ["3"]
        assert texts(await take(logs.follow("app", ""), 3)) == ["1", "2", "3"]
        live = logs.follow("app", third)
        waiting = asyncio.create_task(take(live, 2))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        logs.append("other", [line("not ours")])
        logs.append("app", [line(4)])
        await asyncio.sleep(0.05)
        logs.append("app", [line(5)])
        assert texts(await waiting) == ["4", "5"]
        filtered = logs.follow("app", third, Filter(source="heroku"))
        logs.append("app", [line(6), line(7, source="heroku")])
        assert texts(await take(filtered, 1)) == ["7"]

    asyncio.run(scenario())


@pytest.mark.parametrize("id", ["garbage", "99999999:0", "1:99999", "999999", "-1", "1:1"])
def test_an_unknown_id_starts_at_the_oldest_and_says_so(logs: LogStore, id: str) -> None:
    async def scenario() -> None:
        logs.append("app", [line("first"), line("second")])
        [(gap_id, gap), *others] = await take(logs.follow("app", id), 3)
        assert (gap_id, gap.source, gap.dyno) == (id, "heroku", "logplex")
        assert gap.text.startswith("Error L10 ")
        assert texts(others) == ["first", "second"]
        assert texts(await take(logs.follow("app", id, Filter(source="app")), 2)) == ["first", "second"]

    asyncio.run(scenario())


def test_a_follower_may_come_before_the_first_line(logs: LogStore) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(take(logs.follow("app", ""), 1))
        await asyncio.sleep(0.02)
        logs.append("app", [line("first")])
        assert texts(await waiting) == ["first"]

    asyncio.run(scenario())


def test_nothing_is_lost_or_doubled_at_the_hand_over(logs: LogStore) -> None:
    total = 6000
    written = threading.Event()

    def write() -> None:
        number = 0
        while number < total:
            batch = random.randint(1, 40)
            logs.append("app", [line(n) for n in range(number, min(number + batch, total))])
            number += batch
            if number % 7 == 0:
                time.sleep(0.0005)
        written.set()

    async def one(delay: float) -> list[str]:
        await asyncio.sleep(delay)
        recent = await asyncio.to_thread(logs.recent, "app", 1500)
        await asyncio.sleep(delay)
        last, after = (int(recent[-1][1].text), recent[-1][0]) if recent else (-1, "")
        followed = await take(logs.follow("app", after), total - 1 - last)
        return texts(recent + followed)

    async def scenario() -> list[list[str]]:
        return await asyncio.gather(*(one(n * 0.01) for n in range(6)))

    writer = threading.Thread(target=write)
    writer.start()
    for seen in asyncio.run(scenario()):
        assert seen == [str(number) for number in range(int(seen[0]), total)]
    writer.join()
    assert written.is_set()


def test_a_slow_follower_blocks_nobody(logs: LogStore) -> None:
    async def scenario() -> None:
        slow = logs.follow("app", "")
        logs.append("app", [line(0)])
        await take(slow, 1)
        started = time.monotonic()
        for number in range(1, 2001):
            logs.append("app", [line(number)])
        assert time.monotonic() - started < 5
        assert texts(await take(slow, 2000)) == [str(number) for number in range(1, 2001)]

    asyncio.run(scenario())


def test_a_follower_is_told_what_it_has_missed(small: LogStore) -> None:
    async def scenario() -> None:
        stream = small.follow("app", "")
        small.append("app", [line(0)])
        [(first, _)] = await take(stream, 1)
        for number in range(1, 1000):
            small.append("app", [line(number)])
        [(id, gap), (_, next)] = await take(stream, 2)
        assert (id, gap.dyno) == (first, "logplex")
        assert int(next.text) > 1
        rest = texts(await take(stream, 999 - int(next.text)))
        assert rest == [str(number) for number in range(int(next.text) + 1, 1000)]

    asyncio.run(scenario())


def test_cursors_tell_how_far_a_container_was_collected(logs: LogStore) -> None:
    assert logs.cursor("app", "c-1") == 0
    logs.append("app", [line(1, origin=("c-1", 10)), line(2, origin=("c-2", 5)), line(3, origin=("c-1", 20)), line(4)])
    assert [logs.cursor("app", container) for container in ("c-1", "c-2", "c-3")] == [20, 5, 0]


def test_a_destroyed_app_is_gone_and_its_followers_end(logs: LogStore) -> None:
    async def scenario() -> None:
        logs.append("app", [line(1, origin=("c-1", 10))])
        stream = logs.follow("app", "")
        await take(stream, 1)
        waiting = asyncio.create_task(anext(stream, None))
        await asyncio.sleep(0.02)
        logs.destroy("app")
        assert await asyncio.wait_for(waiting, 5) is None
        logs.append("app", [line("late")])
        assert logs.recent("app", 10) == []
        assert logs.cursor("app", "c-1") == 0
        logs.destroy("app")
        logs.destroy("never")

    asyncio.run(scenario())


def test_apps_are_written_in_parallel(logs: LogStore) -> None:
    def write(app: str) -> None:
        for number in range(500):
            logs.append(app, [line(f"{app} {number}")])

    threads = [threading.Thread(target=write, args=(app,)) for app in ("a", "b", "a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for app in ("a", "b"):
        assert sorted(texts(logs.recent(app, 2000))) == sorted(f"{app} {number}" for number in range(500) for _ in "12")
