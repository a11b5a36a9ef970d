"""Counting requests: the rule and the files."""

from __future__ import annotations

import random
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from test_router_log import RECORD

from pogo.logs.traffic import Traffic
from pogo.rules import traffic
from pogo.rules.router_log import RouterRecord
from pogo.rules.traffic import LONGEST, Counts, Minutes, bucket, count, middle

MINUTE = RECORD.time // 60_000_000
APPS = {12: "shop", 13: "blog"}


def record(service: int, *, minute: int = MINUTE, **values: object) -> RouterRecord:
    """A request that a dyno had for so many milliseconds."""
    times = {"receiving": 1, "waited": 2, "connect": 3, "total": service + 6}
    return RECORD._replace(time=minute * 60_000_000 + 1, **{**times, **values})


def counted(*records: RouterRecord) -> Minutes:
    found: Minutes = {}
    count(records, APPS, found)
    return found


@given(st.integers(0, LONGEST))
def test_a_bucket_is_never_further_from_a_time_than_a_32nd(milliseconds: int) -> None:
    assert abs(middle(bucket(milliseconds)) - milliseconds) <= milliseconds / 32


@given(st.integers(0, LONGEST - 1))
def test_buckets_are_in_order(milliseconds: int) -> None:
    assert 0 <= bucket(milliseconds + 1) - bucket(milliseconds) <= 1


def test_what_is_too_long_or_negative_has_a_bucket() -> None:
    assert bucket(-5) == 0
    assert bucket(LONGEST * 10) == bucket(LONGEST)


def test_quantiles_are_those_of_the_times() -> None:
    times = random.Random(7).choices(range(3000), k=2000)
    (counts,) = counted(*(record(time) for time in times)).values()
    times.sort()
    for percent in (1, 50, 95, 99, 100):
        exact = times[max(0, len(times) * percent // 100 - 1)]
        found = counts.quantile(percent)
        assert found is not None
        assert abs(found - exact) <= exact / 32 + 1
    assert counts.milliseconds == sum(times)
    assert Counts().quantile(50) is None


def test_what_is_counted() -> None:
    found = counted(
        record(10),
        record(20, status=404),
        record(30_000, status=504, termination="sH"),
        record(0, status=503, termination="LR", refusal="H80", connect=-1, server=""),
        record(9_000_000, status=101),
        record(5, slot=13, minute=MINUTE + 1, status=302),
        record(5, slot=99),
    )
    shop = found.pop(("shop", MINUTE))
    blog = found.pop(("blog", MINUTE + 1))
    assert not found
    assert shop.statuses == {"2xx": 1, "4xx": 1, "1xx": 1}
    assert shop.errors == {"H12": 1, "H80": 1}
    assert shop.times == {10: 1, 20: 1, bucket(30_000): 1}
    assert shop.requests == 5
    assert blog.statuses == {"3xx": 1}


def test_minutes_are_told_apart_in_whatever_order_records_come() -> None:
    minutes = [MINUTE, MINUTE + 1, MINUTE, MINUTE + 61, MINUTE - 1, MINUTE - 1]
    found = counted(*(record(1, minute=minute) for minute in minutes))
    assert {minute: counts.requests for (_, minute), counts in found.items()} == {
        MINUTE: 2,
        MINUTE + 1: 1,
        MINUTE + 61: 1,
        MINUTE - 1: 2,
    }


def test_counting_is_cheap() -> None:
    """A bound far above what it takes (0.5 µs), for a busy machine."""
    records = [record(number % 300, slot=12 + number % 2) for number in range(20_000)]
    began = time.process_time()
    counted(*records)
    assert (time.process_time() - began) / len(records) < 10e-6


def test_a_group_sums_and_empty_ones_are_there() -> None:
    one = Counts(milliseconds=5)
    one.statuses["2xx"] += 1
    rows = traffic.group([(10, one), (12, one), (13, one), (99, one)], 10, 16, 3)
    assert [(start, counts.requests, counts.milliseconds) for start, counts in rows] == [(10, 2, 10), (13, 1, 5)]


def test_prometheus_buckets_are_cumulative() -> None:
    (counts,) = counted(record(3), record(40), record(40), record(60_000)).values()
    assert dict(traffic.cumulated(counts.times)) == {
        **dict.fromkeys((0.005, 0.01, 0.025), 1),
        **dict.fromkeys((0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0), 3),
        float("inf"): 4,
    }


def read(store: Traffic, app: str = "shop", first: int = MINUTE, minutes: int = 10) -> dict[int, int]:
    rows = traffic.group(store.read(app, first, first + minutes), first, first + minutes, 1)
    return {minute - first: counts.requests for minute, counts in rows if counts.requests}


def test_counts_are_read_before_and_after_they_are_written_and_by_the_next_daemon(tmp_path: Path) -> None:
    store = Traffic(tmp_path)
    store.count([record(1), record(2, minute=MINUTE + 1), record(3, slot=13)], APPS)
    assert read(store) == {0: 1, 1: 1}
    taken = store.take()
    assert read(store) == {0: 1, 1: 1}
    store.write(taken)
    store.count([record(1)], APPS)
    assert read(store) == {0: 2, 1: 1}
    store.write(store.take())
    later = Traffic(tmp_path)
    assert read(later) == {0: 2, 1: 1}
    ((_, counts), *_) = later.read("blog", MINUTE, MINUTE + 1)
    assert (counts.statuses, counts.times, counts.milliseconds) == ({"2xx": 1}, {3: 1}, 3)
    assert {app: counts.requests for app, counts in store.since_start().items()} == {"shop": 3, "blog": 1}
    assert later.since_start() == {}


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    store = Traffic(tmp_path)
    store.count([record(1)], APPS)
    store.write(store.take())
    (file,) = (tmp_path / "shop").iterdir()
    with file.open("a") as torn:
        torn.write('{"m":17,"s":{"2x')
    store.count([record(1, minute=MINUTE + 2)], APPS)
    store.write(store.take())
    assert read(store) == {0: 1, 2: 1}


def test_a_day_is_kept_and_an_app_forgotten(tmp_path: Path) -> None:
    store = Traffic(tmp_path)
    day = 24 * 60
    for ago in (0, day - 1, 2 * day):
        store.count([record(1, minute=MINUTE - ago), record(1, minute=MINUTE - ago, slot=13)], APPS)
    store.write(store.take())
    assert len(read(store, first=MINUTE - 3 * day, minutes=1)) == 0
    assert read(store, first=MINUTE - day + 1, minutes=day) == {0: 1, day - 1: 1}
    store.prune(MINUTE * 60)
    assert len(list((tmp_path / "shop").iterdir())) == 2
    assert read(store, first=MINUTE - day + 1, minutes=day) == {0: 1, day - 1: 1}
    store.destroy("shop")
    assert read(store, first=MINUTE - day + 1, minutes=day) == {}
    assert [directory.name for directory in tmp_path.iterdir()] == ["blog"]
