"""What every log store promises; and what only the one on files can break."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pogo.errors import StorageFull
from pogo.logs import Filter, Line, LogStore
from pogo.logs.files import FileLogs
from pogo.logs.memory import MemoryLogs


@pytest.fixture(params=["files", "memory"])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> LogStore:
    return FileLogs(tmp_path / "logs", 100_000) if request.param == "files" else MemoryLogs()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


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
def test_an_unknown_id_starts_at_the_oldest(logs: LogStore, id: str) -> None:
    async def scenario() -> None:
        logs.append("app", [line("first"), line("second")])
        assert texts(await take(logs.follow("app", id), 2)) == ["first", "second"]

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


# From here on: files.


def test_ids_grow(tmp_path: Path) -> None:
    logs = FileLogs(tmp_path, 1000)
    for number in range(300):
        logs.append("app", [line(f"{number} " + "x" * 100) for _ in range(3)])
    ids = [tuple(map(int, id.split(":"))) for id, _ in logs.recent("app", 10_000)]
    assert ids == sorted(set(ids))
    assert len({number for number, _ in ids}) > 1


def test_the_store_is_bounded(tmp_path: Path) -> None:
    logs = FileLogs(tmp_path, 2000)
    for start in range(0, 40_000, 50):
        logs.append(
            "app", [line(f"{number} {'x' * 150}", origin=("c-1", number)) for number in range(start, start + 50)]
        )
    kept = logs.recent("app", 100_000)
    assert 2000 < len(kept) < 6000
    assert [int(text.split()[0]) for text in texts(kept)] == list(range(40_000 - len(kept), 40_000))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.log")) < 2000 * 256 * 1.2


def test_long_lines_pass_blocks_and_segments(tmp_path: Path) -> None:
    lines = [line(f"{number} " + "é" * (number * 7919 % 90_000)) for number in range(60)]
    logs = FileLogs(tmp_path, 200_000)
    for one in lines:
        logs.append("app", [one])
    assert [line for _, line in logs.recent("app", 100)] == lines
    assert [line for _, line in asyncio.run(take(logs.follow("app", ""), 60))] == lines


def test_another_process_goes_on_where_this_one_ended(tmp_path: Path) -> None:
    FileLogs(tmp_path, 1000).append("app", [line(1, origin=("c-1", 10)), line(2)])
    again = FileLogs(tmp_path, 1000)
    assert again.cursor("app", "c-1") == 10
    [(id, _)] = again.recent("app", 1)
    again.append("app", [line(3)])
    assert texts(again.recent("app", 10)) == ["1", "2", "3"]
    assert texts(asyncio.run(take(again.follow("app", id), 1))) == ["3"]


def test_a_cursor_outlives_its_lines(tmp_path: Path) -> None:
    logs = FileLogs(tmp_path, 100)
    logs.append("app", [line("the only line of a quiet worker", origin=("quiet", 32))])
    for number in range(1000):
        logs.append("app", [line("x" * 200, origin=("loud", number))])
    assert "quiet" not in "".join(texts(logs.recent("app", 10_000)))
    assert FileLogs(tmp_path, 100).cursor("app", "quiet") == 32
    assert FileLogs(tmp_path, 100).cursor("app", "loud") == 999


@pytest.mark.parametrize("torn", [b"1795435200.1", b"1795435200.000000\tapp\tweb.1\tc-1\t99\ttorn", b"\0\0\0"])
def test_a_torn_last_line_is_cut(tmp_path: Path, torn: bytes) -> None:
    FileLogs(tmp_path, 1000).append("app", [line(1, origin=("c-1", 10))])
    segment = tmp_path / "app" / "00000001.log"
    segment.write_bytes(segment.read_bytes() + torn)
    logs = FileLogs(tmp_path, 1000)
    assert texts(logs.recent("app", 10)) == ["1"]
    assert logs.cursor("app", "c-1") == 10
    logs.append("app", [line(2)])
    assert texts(logs.recent("app", 10)) == ["1", "2"]


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    FileLogs(tmp_path, 1000).append("app", [line(1)])
    segment = tmp_path / "app" / "00000001.log"
    segment.write_bytes(segment.read_bytes() + b"\0\0\n\xff\tapp\tweb.1\t\t\tx\n1.0\ta\tb\tc\tNaN\tx\n=\tc\n")
    logs = FileLogs(tmp_path, 1000)
    logs.append("app", [line(2)])
    assert texts(logs.recent("app", 10)) == ["1", "2"]
    assert texts(asyncio.run(take(logs.follow("app", ""), 2))) == ["1", "2"]


WRITER = """
import sys
from pathlib import Path
from pogo.logs import Line
from pogo.logs.files import FileLogs

logs = FileLogs(Path(sys.argv[1]), 2000)
number = logs.cursor("app", "c-1")
print("go", flush=True)
while True:
    batch = range(number + 1, number + 21)
    logs.append("app", [Line(1.0, "app", "web.1", f"{n} " + "x" * 300, ("c-1", n)) for n in batch])
    number += 20
"""


def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    for turn in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"go\n"
            time.sleep(0.05 + turn * 0.013)
            writer.send_signal(signal.SIGKILL)
    logs = FileLogs(tmp_path, 2000)
    numbers = [int(text.split()[0]) for text in texts(logs.recent("app", 100_000))]
    assert len(numbers) > 500
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert logs.cursor("app", "c-1") == numbers[-1]


def test_a_follower_left_behind_goes_on_at_the_oldest(tmp_path: Path) -> None:
    async def scenario() -> None:
        logs = FileLogs(tmp_path, 100)
        logs.append("app", [line("first")])
        stream = logs.follow("app", "")
        await take(stream, 1)
        for number in range(1000):
            logs.append("app", [line(f"{number} {'x' * 200}")])
        [(_, oldest)] = logs.recent("app", 10_000)[:1]
        assert texts(await take(stream, 1)) == [oldest.text]

    asyncio.run(scenario())


def test_a_full_disk_is_said_and_leaves_whole_lines(small_disk: Path) -> None:
    logs = FileLogs(small_disk, 100_000)
    logs.append("app", [line("kept")])
    with pytest.raises(StorageFull):
        logs.append("app", [line("x" * 2_000_000)])
    assert texts(logs.recent("app", 10)) == ["kept"]
    logs.append("app", [line("after")])
    filler = small_disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4096"], check=False, capture_output=True)
    with pytest.raises(StorageFull):
        logs.append("new", [line("x" * 10_000)])
    filler.unlink()
    logs.append("new", [line("works again")])
    assert texts(FileLogs(small_disk, 100_000).recent("app", 10)) == ["kept", "after"]
    assert texts(FileLogs(small_disk, 100_000).recent("new", 10)) == ["works again"]


@pytest.mark.parametrize("app", ["", "..", "a/b", "A", "a\n"])
def test_app_ids_are_checked(tmp_path: Path, app: str) -> None:
    with pytest.raises(ValueError, match="is not the id of an app"):
        FileLogs(tmp_path, 100).append(app, [line(1)])


@pytest.mark.parametrize("dyno", ["web 1", "web\t1", "web\n"])
def test_names_with_white_space_are_refused(tmp_path: Path, dyno: str) -> None:
    with pytest.raises(ValueError, match="white space"):
        FileLogs(tmp_path, 100).append("app", [line(1, dyno)])


def test_an_idle_follower_costs_nothing_and_wakes_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        logs = FileLogs(tmp_path, 1000)
        waiting = [asyncio.create_task(take(logs.follow("app", ""), 1)) for _ in range(50)]
        await asyncio.sleep(0.1)
        before = time.process_time()
        await asyncio.sleep(0.5)
        assert time.process_time() - before < 0.02
        started = time.monotonic()
        logs.append("app", [line("now")])
        await asyncio.gather(*waiting)
        assert time.monotonic() - started < 0.5

    asyncio.run(scenario())
