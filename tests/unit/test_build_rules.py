"""What a build may use, what its end is called, when it may begin, and which slugs are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import admission, build_ends
from pogo.rules.admission import MB, Machine
from pogo.rules.build_ends import Allowed
from pogo.rules.retention import Kept, superfluous

ALLOWED = Allowed(memory_mb=512, processes=100, disk_mb=2048, seconds=900)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "oom", "exceeded", "words"),
    [
        (1, False, "", ""),
        (2, False, "", ""),
        (1, True, "", "needs more than the 512 MB that a build may use (POGO_BUILD_MEMORY_MB)"),
        (137, True, "", "512 MB"),
        (137, False, "", "512 MB"),
        (1, False, "pids", "more than the 100 processes that a build may have (POGO_BUILD_PROCESSES)"),
        (137, False, "disk", "more than the 2048 MB that it may (POGO_BUILD_DISK_MB)"),
        (137, True, "reserve", "too little free space on the platform's disk"),
        (3, False, "", "fault of the platform"),
    ],
)
def test_a_limit_is_named_with_its_setting(status: int, oom: bool, exceeded: str, words: str) -> None:
    said = build_ends.failure(status, oom, exceeded, ALLOWED)
    assert words in said if words else said == ""


def test_time_is_named() -> None:
    assert build_ends.too_long("", ALLOWED) == (
        "The build took longer than 15 minutes and was stopped (POGO_BUILD_TIMEOUT)."
    )
    assert "100 processes" in build_ends.too_long("pids", ALLOWED)
    assert "3 seconds" in build_ends.too_long("", Allowed(1, 1, 1, 3))


def test_the_summary() -> None:
    steps = {"compile": 9.1, "peak": 312 * MB, "pack": 1.2, "store": 0.4}
    text = "Built in 10.7 s: compile 9.1 s, pack 1.2 s, store 0.4 s; peak memory 312 MB"
    assert build_ends.summary(steps) == text


GB = 1 << 30


@pytest.mark.parametrize(
    ("pressure", "free", "waits"),
    [(0.0, GB, False), (25.0, 8 * GB, True), (0.0, 100 * MB, True), (None, 3 * GB, True), (None, 5 * GB, False)],
)
def test_memory(pressure: float | None, free: int, waits: bool) -> None:
    machine = Machine(pressure, free, 16 * GB, 0)
    assert bool(admission.short_of_memory(machine, 4 * GB)) == waits


def test_a_small_machine_without_psi_builds_too() -> None:
    assert not admission.short_of_memory(Machine(None, 600 * MB, GB, 0), 4 * GB)


def test_disk() -> None:
    needed = admission.disk_needed(source=10 * MB, slug_max=1024 * MB, cache=20 * MB)
    assert needed == (10 + 1024 + 60 + 256) * MB
    assert not admission.short_of_disk(Machine(None, 0, 0, needed), needed)
    assert "1349 MB are free, 1350 MB are needed" in admission.short_of_disk(Machine(None, 0, 0, needed - 1), needed)


def test_what_the_kernel_says() -> None:
    psi = "some avg10=12.50 avg60=0.00 avg300=0.00 total=166202\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=8\n"
    assert admission.parse_pressure(psi) == 12.5
    text = "MemTotal:       24683520 kB\nMemFree: 100 kB\nMemAvailable:   1024 kB\nHugePages_Total:       0\n"
    assert admission.parse_memory(text) == (MB, 24683520 << 10)


def slug(id: str, version: int | None, *, in_use: bool = False, age_days: float = 9) -> Kept:
    return Kept(id, NOW - timedelta(days=age_days), version, in_use)


def test_old_slugs_go() -> None:
    slugs = [slug("a", 2), slug("b", 5), slug("c", 4), slug("d", 1, in_use=True)]
    assert superfluous(slugs, 2, NOW) == {"a"}
    assert superfluous(slugs, 1, NOW) == {"a", "c"}


def test_slugs_of_no_release_go_after_a_day() -> None:
    slugs = [slug("old", None, age_days=1.1), slug("new", None, age_days=0.9)]
    assert superfluous(slugs, 1, NOW) == {"old"}


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 40)), st.booleans(), st.floats(0, 5)), max_size=30),
    st.integers(1, 10),
)
def test_what_a_rollback_offers_is_kept(found: list[tuple[int | None, bool, float]], keep: int) -> None:
    slugs = [slug(str(n), version, in_use=used, age_days=age) for n, (version, used, age) in enumerate(found)]
    gone = superfluous(slugs, keep, NOW)
    assert not gone & {one.id for one in slugs if one.in_use}
    left = [one for one in slugs if one.version is not None and one.id not in gone]
    assert len(left) >= min(keep, sum(one.version is not None for one in slugs))
    assert superfluous([one for one in slugs if one.id not in gone], keep, NOW) == set()
