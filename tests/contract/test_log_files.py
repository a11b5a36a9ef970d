"""The log store on files: bounds, kills, damage, full disks."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_log_store import line, take, texts

from pogo.errors import StorageFull
from pogo.logs.files import FileLogs


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
        assert texts(await take(stream, 2))[1] == oldest.text

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
        assert time.monotonic() - started < 5

    asyncio.run(scenario())
