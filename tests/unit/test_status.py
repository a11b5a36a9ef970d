"""The operator's screen: all is well, and each part that is not is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pogo.install import reclaim
from pogo.install.status import rows, size_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def found(**changes: Any) -> dict[str, Any]:
    return {
        "version": "0.1.0",
        "state_dir": "/srv/pogo",
        "api": "https://localhost",
        "answers": 401,
        "programs": {"agent": {"pid": 5, "up": 7200, "memory": 17 << 20}},
        "database": {
            "kind": "SQLite",
            "schema": "0015",
            "size": 3 << 20,
            "apps": 2,
            "dynos": {"up": 5, "crashed": 1},
            "builds": {"running": 1, "queued": 2},
            "leases": {"dynos": "held", "builds": "free"},
            "certificates": {"tokyo-1": "2026-12-01T00:00:00+00:00"},
        },
        "store": {"url": "files:/srv/pogo/store", "objects": {"slugs": 4}},
        "backup": {"name": "b", "at": "2026-11-24T09:00:00+00:00", "failed": "", "drill_at": "", "drill": ""},
        "disk": {"free": 20 << 30, "total": 50 << 30, "store": 2 << 30, "git": 0},
        "to_do": [],
        **changes,
    }


def test_all_is_well() -> None:
    assert list(rows(found(), NOW)) == [
        "Pogoapp 0.1.0 (schema 0015) in /srv/pogo",
        "API         https://localhost answers",
        "agent       up 2 h, 17.0 MB, process 5",
        "apps        2; dynos: 1 crashed, 5 up; builds: 1 running, 2 queued",
        "database    SQLite, 3.0 MB; 1 of 2 loops held",
        "certificate tokyo-1 ends on 2026-12-01",
        "store       files:/srv/pogo/store: 4 slugs",
        "backup      3 h old; no drill yet",
        "disk        20.0 GB of 50.0 GB free",
        "            store 2.0 GB",
        "Nothing to do.",
    ]


def test_what_is_down_is_told() -> None:
    down = {"error": "it is away"}
    backup = {"name": "", "at": "", "failed": "no space", "drill_at": "x", "drill": "damaged"}
    todo = [{"name": "disk", "found": "is full", "advice": "Free some.", "level": "failed"}]
    shown = list(
        rows(found(answers=0, programs={"pogod": None}, database=down, store=down, backup=backup, to_do=todo), NOW)
    )
    for row in (
        "API         https://localhost DOES NOT ANSWER",
        "pogod       DOES NOT RUN",
        "database    DOES NOT ANSWER: it is away",
        "store       DOES NOT ANSWER: it is away",
        "backup      none yet; THE LAST TRY FAILED; drill WENT WRONG",
        " !    disk: is full",
        "      Free some.",
    ):
        assert row in shown


def test_room_that_is_taken(tmp_path: Path) -> None:
    assert size_of(tmp_path / "none") == 0
    (tmp_path / "a" / "b").mkdir(parents=True)
    before = size_of(tmp_path)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 100_000)
    assert 100_000 <= size_of(tmp_path) - before < 110_000


def test_what_was_reclaimed() -> None:
    objects = {"before": {"slugs": 12, "caches": 5}, "after": {"slugs": 9, "caches": 5}, "kept": ""}
    freed = {"store": 60 << 20, "git": 2 << 20, "logs": -4096}
    found = {"freed": freed, "free": 9 << 30, "objects": objects, "packed": 4, "problems": []}
    assert list(reclaim.rows(found)) == [
        "   60.0 MB  objects",
        "    2.0 MB  repositories",
        "         3  of 12 slugs deleted",
        "         4  repositories packed",
        "Freed 62.0 MB; 9.0 GB are free.",
    ]
    kept = {**objects, "after": objects["before"], "kept": "it has objects of another installation too (x)"}
    nothing = {**found, "freed": {}, "objects": kept, "problems": ["The repository of shop could not be packed: x"]}
    assert list(reclaim.rows(nothing))[1:] == [
        " !    Nothing is deleted from the object store: it has objects of another installation too (x).",
        " !    The repository of shop could not be packed: x",
        "Nothing to free; 9.0 GB are free.",
    ]
