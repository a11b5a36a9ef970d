"""The spool of output: positions never change, what is too much is dropped and counted, lines stay whole."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pogo.agent.spool import LONGEST_LINE, Lines, Spool, read, start_of


def make(directory: Path, limit: int = 1 << 20) -> Spool:
    return Spool(directory / "spool", limit, os.getgid())


def test_records_come_back_from_every_offset(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(5):
        spool.append(float(number), b"%d\n" % number)
    records = list(read(spool.fd, 0))
    assert [(at, lost, data) for _, at, lost, data in records] == [(float(n), 0, b"%d\n" % n) for n in range(5)]
    for index, (after, *_) in enumerate(records):
        assert list(read(spool.fd, after)) == records[index + 1 :]


def test_an_offset_inside_a_record_finds_its_start(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(5000):
        spool.append(float(number), b"first %d\nsecond\n" % number)
    records = list(read(spool.fd, 0, 1 << 20))
    for index in (0, 1, 2500, 4999):
        start, (after, _, _, data) = (records[index - 1][0] if index else 0), records[index]
        assert start_of(spool.fd, after) == after
        assert start_of(spool.fd, after - len(b"second\n")) == start
        assert next(read(spool.fd, start))[3] == data


def test_a_spool_that_never_reached_the_disk_is_empty(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    fd = os.open(tmp_path / "spool", os.O_RDONLY)
    assert list(read(fd, 0)) == []
    assert start_of(fd, 100) == 100
    os.close(fd)


def test_reading_gives_at_least_one_record_however_small_the_buffer(tmp_path: Path) -> None:
    spool = make(tmp_path)
    spool.append(1.0, b"x" * 5000 + b"\n")
    spool.append(2.0, b"y\n")
    assert [len(data) for *_, data in read(spool.fd, 0, 100)] == [5001]


def test_collected_space_is_freed_and_is_not_lost(tmp_path: Path) -> None:
    spool = make(tmp_path)
    for number in range(1000):
        spool.append(float(number), b"z" * 999 + b"\n")
    before = os.fstat(spool.fd).st_blocks
    middle = list(read(spool.fd, 0, 1 << 20))[499][0]
    spool.collected(middle)
    assert os.fstat(spool.fd).st_blocks < before * 2 // 3
    first = next(read(spool.fd, 0))
    assert (first[1], first[2]) == (500.0, 0)
    spool.collected(0)
    spool.collected(spool.end + 1)
    assert next(read(spool.fd, 0)) == first


def test_oldest_are_dropped_and_counted_once(tmp_path: Path) -> None:
    spool = make(tmp_path, limit=64 << 10)
    for number in range(1000):
        spool.append(float(number), b"a\n" * 100)
    records = list(read(spool.fd, 0, 1 << 20))
    assert spool.end - spool.first <= 64 << 10
    assert 100 * len(records) + sum(lost for _, _, lost, _ in records) == 100_000
    assert [lost for _, _, lost, _ in records[1:]] == [0] * (len(records) - 1)
    # One who has read further than what was dropped has lost nothing.
    assert all(lost == 0 for _, _, lost, _ in read(spool.fd, records[0][0]))


def test_lost_counts_from_what_was_collected(tmp_path: Path) -> None:
    spool = make(tmp_path, limit=64 << 10)
    for number in range(100):
        spool.append(float(number), b"a\n" * 100)
    spool.collected(spool.end)
    for number in range(1000):
        spool.append(float(number), b"b\n" * 100)
    records = list(read(spool.fd, 0, 1 << 20))
    assert 100 * len(records) + records[0][2] == 100_000


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
