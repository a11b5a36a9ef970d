"""What the doctor makes of what it sees, and how it tells it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pogo.errors import PogoError, Unavailable
from pogo.install.doctor import check, data, kernel, leftovers, machine, platform, report
from pogo.install.doctor.check import Check, failed, ok, warning

MB = 1 << 20
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_the_table_says_what_to_do_under_what_is_not_well() -> None:
    checks = [
        ok("Kernel", "overlay", "works"),
        warning("Kernel", "forwarding", "packets are not forwarded", "sysctl net.ipv4.ip_forward=1"),
        failed("Data", "store", "cannot be written", "Free some space. " * 5),
    ]
    rows = check.table(checks, width=70).splitlines()
    assert rows[0] == "=== Kernel"
    assert rows[1] == "overlay     ok       works"
    assert rows[2] == "forwarding  warning  packets are not forwarded"
    assert rows[3] == " " * 21 + "-> sysctl net.ipv4.ip_forward=1"
    assert rows[4:6] == ["", "=== Data"]
    assert rows[7].strip().startswith("-> Free some")
    assert max(map(len, rows)) <= 70
    assert rows[-1] == "1 ok, 1 to look at, 1 failed"
    assert "\x1b[31mfailed" in check.table(checks, colours=True)


def test_programs_are_told_the_same() -> None:
    checks = [failed("Data", "store", "is full", "Free some space.", needed=True)]
    assert [Check(**row) for row in json.loads(check.as_json(checks))] == checks


def test_only_what_failed_makes_the_status() -> None:
    assert check.status([ok("a", "b", "c"), warning("a", "b", "c", "d")]) == 0
    assert check.status([ok("a", "b", "c"), failed("a", "b", "c", "d")]) == 1


def test_what_cannot_be_looked_at_is_a_failed_check() -> None:
    def ask() -> Iterable[Check]:
        yield ok("Data", "one", "is well")
        raise Unavailable("The disk is gone.")

    first, second = check.guarded("Data", "two", ask)
    assert first.level == "ok"
    assert (second.level, second.found) == ("failed", "cannot be looked at: The disk is gone.")


def test_bin_up_refuses_what_cannot_work_and_nothing_else() -> None:
    report.refuse(
        [ok("a", "b", "c"), warning("a", "b", "c", "d"), failed("Machine", "names", "no resolver", "Add one.")]
    )
    with pytest.raises(PogoError) as refused:
        report.refuse([failed("Machine", "ports", "80 is taken", "Free it.", needed=True)])
    assert refused.value.message == "ports: 80 is taken\nFree it."


def test_images_that_cannot_be_mapped_are_unpacked() -> None:
    assert kernel.images_check("", "").level == "ok"
    unpacked = kernel.images_check("Invalid argument", "")
    assert (unpacked.level, unpacked.needed) == ("warning", False)
    assert "unpacked" in unpacked.found
    neither = kernel.images_check("Invalid argument", "Invalid argument")
    assert (neither.level, neither.needed) == ("failed", True)


def test_a_trial_that_goes_wrong_says_why() -> None:
    assert kernel.tried(lambda: None) == ""

    def wrong() -> None:
        raise OSError(22, "Invalid argument")

    assert "Invalid argument" in kernel.tried(wrong)


@pytest.mark.parametrize(
    ("total", "available", "level"), [(800, 700, "failed"), (2000, 100, "warning"), (2000, 1000, "ok")]
)
def test_memory(total: int, available: int, level: str) -> None:
    assert machine.memory((total * MB, available * MB)).level == level


@pytest.mark.parametrize(
    ("space", "inodes", "installed", "level", "needed"),
    [
        (5000, 10**6, False, "failed", True),
        (7000, 10**6, False, "ok", False),
        (500, 10**6, True, "failed", False),
        (2000, 10**6, True, "warning", False),
        (5000, 10**6, True, "ok", False),
        (5000, 100, True, "failed", False),
        (5000, None, True, "ok", False),
    ],
)
def test_disk(space: int, inodes: int | None, installed: bool, level: str, needed: bool) -> None:
    found = machine.disk("disk", Path("/srv"), (space * MB, inodes), installed=installed)
    assert (found.level, found.needed) == (level, needed)


def test_clock() -> None:
    assert machine.clock(86400, True).level == "failed"
    assert machine.clock(NOW.timestamp(), False).level == "warning"
    assert machine.clock(NOW.timestamp(), True).level == "ok"
    assert machine.clock(NOW.timestamp(), None).level == "ok"


def test_versions() -> None:
    assert (
        machine.version("haproxy", "HAProxy version 2.6.12-1+deb12u3 2023/12/16 - https://haproxy.org/").level == "ok"
    )
    assert machine.version("haproxy", "HAProxy version 2.4.1").level == "failed"
    assert machine.version("lxc", "5.0.2\n").level == "ok"
    assert machine.version("lxc", "").level == "failed"


def test_services() -> None:
    assert platform.service("pogod", None, 0, "it is not running", "tail x").found == "does not run"
    silent = platform.service("pogod", 7, 10, "timed out", "tail x")
    assert (silent.level, silent.found) == ("failed", "runs (process 7) but does not answer: timed out")
    assert "tail x" in silent.advice
    assert platform.service("pogod", 7, 0.01, "", "tail x").level == "ok"


@pytest.mark.parametrize(("days", "level"), [(-1, "failed"), (3, "warning"), (300, "ok")])
def test_certificates(days: int, level: str) -> None:
    assert platform.certificate("certificate", NOW + timedelta(days=days), NOW).level == level


def test_stack_images(tmp_path: Path) -> None:
    image = tmp_path / "pogo-13-0123abcd-202611231200.squashfs"
    image.touch()
    assert platform.image("pogo-13", None, True).level == "failed"
    assert platform.image("pogo-13", image, True).level == "warning"
    assert platform.image("pogo-13", image, False).level == "ok"


def test_database(tmp_path: Path) -> None:
    assert data.integrity(tmp_path / "pogo.db", ["row 3 missing from index x"], 0.1).level == "failed"
    assert data.integrity(tmp_path / "pogo.db", [], 0.1).level == "ok"
    assert data.schema("0006", "0006").level == "ok"
    behind = data.schema("0005", "0006")
    assert (behind.level, behind.advice) == ("failed", "Run bin/up: it migrates the database.")


def test_leftovers_are_named_but_not_all_of_them() -> None:
    assert leftovers.listed("links", [], "").level == "ok"
    found = leftovers.listed("links", [f"pg123456{number}" for number in range(9)], "")
    assert found.level == "warning"
    assert found.found.endswith(" and 4 more")
