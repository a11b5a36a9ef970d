"""The spool of output: positions never change, what is too much is dropped and counted, lines stay whole."""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pogo.agent.spool import LONGEST_LINE, Lines, Spool
from pogo.containers.spool import Reader


def make(directory: Path, limit: int = 1 << 20) -> Spool:
    return Spool(directory / "spool", limit, os.getgid())


Records = list[tuple[int, float, int, bytes]]


def read(fd: int, offset: int = 0) -> Records:
    """All records from `offset` on."""
    reader, found = Reader(fd, offset), []
    while records := reader.read():
        found += records
    return found


def collect(spool: Spool, offset: int) -> None:
    reader = Reader(spool.fd, offset)
    spool.collected(reader.position, reader.line)


def test_records_come_back_from_every_offset(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(5):
        spool.append(float(number), b"%d\n" % number)
    records = read(spool.fd)
    assert [(at, lost, data) for _, at, lost, data in records] == [(float(n), 0, b"%d\n" % n) for n in range(5)]
    for index, (after, *_) in enumerate(records):
        assert read(spool.fd, after) == records[index + 1 :]


def test_an_offset_inside_a_record_finds_its_start(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(5000):
        spool.append(float(number), b"first %d\nsecond\n" % number)
    records = read(spool.fd)
    for index in (0, 1, 2500, 4999):
        start, (after, _, _, data) = (records[index - 1][0] if index else 0), records[index]
        assert Reader(spool.fd, after).position == after
        assert Reader(spool.fd, after - len(b"second\n")).position == start
        assert Reader(spool.fd, start).read()[0][2:] == (0, data)


def test_a_spool_that_never_reached_the_disk_is_empty(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    fd = os.open(tmp_path / "spool", os.O_RDONLY)
    assert Reader(fd, 0).read() == Reader(fd, 100).read() == []
    assert Reader(fd).rest() == b""
    os.close(fd)


def test_reading_gives_at_least_one_record_however_small_the_buffer(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.append(1.0, b"x" * 5000 + b"\n")
    spool.append(2.0, b"y\n")
    reader = Reader(spool.fd)
    assert [len(data) for *_, data in reader.read(100)] == [5001]
    assert [len(data) for *_, data in reader.read(100)] == [2]


def test_collected_space_is_freed_and_is_not_lost(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(1000):
        spool.append(float(number), b"z" * 999 + b"\n")
    before = os.fstat(spool.fd).st_blocks
    middle = read(spool.fd)[499][0]
    collect(spool, middle)
    assert os.fstat(spool.fd).st_blocks < before * 2 // 3
    first = Reader(spool.fd).read()[0]
    assert (first[1], first[2]) == (500.0, 0)
    collect(spool, 0)
    assert Reader(spool.fd).read()[0] == first
    for offset, line in ((0, 0), (spool.end + 1, 7)):  # of a hostile caller
        spool.collected(offset, line)
    assert Reader(spool.fd).read()[0] == first


def test_the_middle_is_dropped_and_counted_once(tmp_path: Path) -> None:
    spool = make(tmp_path, limit=64 << 10)
    for number in range(1000):
        spool.append(float(number), b"a\n" * 100)
    records = read(spool.fd)
    assert sum(len(data) for *_, data in records) <= 64 << 10
    assert 100 * len(records) + sum(lost for _, _, lost, _ in records) == 100_000
    assert (records[0][1], records[-1][1]) == (0.0, 999.0)
    (gap,) = [index for index, (_, _, lost, _) in enumerate(records) if lost]
    assert records[gap - 1][0] >= 16 << 10
    # Wherever one goes on who has read a part of what is left, he is told the same of the rest.
    for index, (after, *_) in enumerate(records):
        assert read(spool.fd, after) == records[index + 1 :]


def test_what_was_read_before_it_was_dropped_is_not_lost(tmp_path: Path) -> None:
    spool = make(tmp_path, limit=64 << 10)
    reader = Reader(spool.fd)
    seen: Records = []
    for number in range(2000):
        spool.append(float(number), b"a\n" * 100)
        if number % 150 == 0:
            seen += reader.read(8 << 10)
    while records := reader.read():
        seen += records
    assert 100 * len(seen) + sum(lost for _, _, lost, _ in seen) == 200_000


def test_lost_counts_from_what_was_collected(tmp_path: Path) -> None:
    spool = make(tmp_path, limit=64 << 10)
    for number in range(100):
        spool.append(float(number), b"a\n" * 100)
    collect(spool, spool.end)
    for number in range(1000):
        spool.append(float(number), b"b\n" * 100)
    records = read(spool.fd)
    assert 100 * len(records) + sum(lost for _, _, lost, _ in records) == 100_000


@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from(["read", "collect", "die", "nothing"])), max_size=60))
def test_every_line_is_read_or_lost_whoever_is_killed(steps: list[tuple[int, str]]) -> None:
    """A reader by the rule of the port: it collects all that it has before it takes what comes after a gap."""
    with tempfile.TemporaryDirectory() as directory:
        spool = make(Path(directory), limit=64 << 10)
        reader = Reader(spool.fd)
        printed = taken = collected = count = 0
        for lines, step in [*steps, (1, "read"), *[(0, "read")] * 40]:
            if lines:
                spool.append(0.0, b"abcdefghijklmnop\n" * lines)
                printed += lines
            if step == "die":
                reader = Reader(spool.fd, taken)  # what it has taken is all that is known of it
            if step != "read":
                continue
            for after, _, lost, data in reader.read(1):
                if lost and collected < taken:
                    collect(spool, taken)
                    collected, reader = taken, Reader(spool.fd, taken)
                    break
                taken, count = after, count + lost + data.count(b"\n")
                if taken - collected >= 4 << 10:
                    collect(spool, taken)
                    collected = taken
        while records := reader.read():
            count += sum(lost + data.count(b"\n") for _, _, lost, data in records)
        os.close(spool.fd)
        assert count == printed


def test_a_spool_from_before_an_upgrade_is_read(tmp_path: Path) -> None:
    """Its header is shorter, and its records count the lines that were dropped."""
    records = [struct.pack("=dII", at, lost, 2) + b"x\n" for at, lost in ((1.0, 0), (2.0, 5), (3.0, 0))]
    size = len(records[0])
    body = bytes(size) + b"".join(records)
    (tmp_path / "spool").write_bytes(struct.pack("=QQQ", size, len(body), 7).ljust(4096, b"\0") + body)
    with (tmp_path / "spool").open("rb") as file:
        assert [lost for _, _, lost, _ in read(file.fileno())] == [7, 5, 0]
        assert [lost for _, _, lost, _ in read(file.fileno(), 2 * size)] == [5, 0]


@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\0", b"\n"))))
def test_lines_keep_every_byte(pieces: list[bytes]) -> None:
    lines = Lines()
    fed = [lines.feed(piece) for piece in pieces]
    assert all(not data or data.endswith(b"\n") for data in fed)
    assert b"".join(fed) + lines.flush() == b"".join(pieces)


@given(st.integers(1, 60_000), st.integers(1, 20_000), st.sampled_from(["a", "é", "語"]))
def test_long_lines_are_cut_the_same_however_they_arrive(length: int, step: int, letter: str) -> None:
    data = (letter * length).encode() + b"\nend\n"
    lines, whole = Lines(), Lines()
    pieces = b"".join(lines.feed(data[start : start + step]) for start in range(0, len(data), step))
    assert pieces == whole.feed(data)
    assert all(len(line) <= LONGEST_LINE for line in pieces.split(b"\n"))
    assert pieces.decode().replace("\n", "") == letter * length + "end"
