"""Usage of dynos: load averages, R14, and the lines of log-runtime-metrics."""

from __future__ import annotations

from dataclasses import replace

from pogo.rules.usage import Load, Usage, over_quota, runtime_metrics, thrashes

MB = 1 << 20


def test_load_approaches_what_is_used() -> None:
    load = Load()
    for second in range(0, 3600, 20):
        load.add(cpu=second * 1.5, at=second)
    one, five, fifteen = load.averages
    assert 1.49 < one <= 1.5 and 1.49 < five <= 1.5 and 1.4 < fifteen < 1.5
    load.add(cpu=0, at=3600)  # a container that began again
    assert load.averages[0] < one


def test_the_first_sample_says_nothing() -> None:
    load = Load()
    load.add(1000, 5)
    assert load.averages == [0, 0, 0]
    load.add(1000, 5)
    assert load.averages == [0, 0, 0]


def test_who_only_reads_its_programs_again_thrashes() -> None:
    most = 1024 * MB
    before, after = (Usage(950 * MB, 60 * MB, 0, 0, 1, faults) for faults in (1000, 1400))
    assert thrashes(before, after, 20, most)
    assert not thrashes(before, after, 21, most)
    assert not thrashes(before, after, 20, 1100 * MB)  # there is room for them
    assert not thrashes(before, replace(after, memory=500 * MB), 20, most)  # it has just given memory back
    assert not thrashes(after, after, 0, most)
    database = Usage(100 * MB, 900 * MB, 0, 0, 1)  # reads its files, which are larger than its memory
    assert not thrashes(database, replace(database, faults=10**6), 20, most)


def test_lines_as_heroku_writes_them() -> None:
    load = Load([0.05, 0.006, 2])
    lines = runtime_metrics("web.1", "abc", Usage(21 * MB, MB, MB // 2, 1.0, 3), load, 512 * MB)
    assert lines == [
        "source=web.1 dyno=heroku.abc sample#load_avg_1m=0.05 sample#load_avg_5m=0.01 sample#load_avg_15m=2.00",
        "source=web.1 dyno=heroku.abc sample#memory_total=22.50MB sample#memory_rss=21.00MB "
        "sample#memory_cache=1.00MB sample#memory_swap=0.50MB sample#memory_quota=512.00MB",
    ]


def test_r14_above_the_quota_only() -> None:
    assert over_quota(Usage(512 * MB, 9 * MB, 0, 0, 1), 512 * MB) == []
    assert over_quota(Usage(500 * MB, 0, 40 * MB, 0, 1), 512 * MB) == [
        "Process running mem=540M(105.5%)",
        "Error R14 (Memory quota exceeded)",
    ]
