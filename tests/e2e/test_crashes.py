"""Processes that end by themselves, and web processes that never answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest
from installation import Installation
from small_apps import change, make, small
from waiting import eventually

BROKEN = {"Procfile": "web: echo trying; sleep 0.2; exit 3\n"}
SILENT = {"Procfile": "web: echo waiting for nothing; exec sleep 1000\n"}
WORKING = {"Procfile": "web: python3 server.py\n"}


@pytest.fixture(scope="module")
def app(platform: Installation) -> Iterator[Path]:
    """The app `fragile`, whose first release works."""
    work = make(platform, "fragile", small("v2"))
    platform.push(work)
    eventually(lambda: platform.get("fragile").status == 200)
    yield work
    platform.pogo("destroy", "--confirm", "fragile", cwd=work)


def lines(platform: Installation, work: Path, dyno: str = "web.1") -> list[tuple[datetime, str]]:
    """When the platform said what about a dyno."""
    text = platform.pogo("logs", "-n", "1500", "-s", "heroku", "-d", dyno, cwd=work)
    found = [line.partition(f" heroku[{dyno}]: ") for line in text.splitlines()]
    return [(datetime.fromisoformat(at), words) for at, _, words in found]


def count(platform: Installation, work: Path, words: str) -> int:
    return sum(said.startswith(words) for _, said in lines(platform, work))


def test_one_crash_is_over_at_once(platform: Installation, app: Path) -> None:
    started = count(platform, app, "Starting process")
    assert platform.get("fragile", "/exit/7").status in (502, 503)
    eventually(lambda: count(platform, app, "Starting process") == started + 1)
    eventually(lambda: platform.get("fragile").status == 200)
    said = [words for _, words in lines(platform, app)]
    assert "Process exited with status 7" in said
    assert "State changed from up to crashed" in said
    assert "code=H13" in platform.pogo("logs", "-d", "router", cwd=app)


def test_a_release_that_crashes_leaves_the_old_one_serving(platform: Installation, app: Path) -> None:
    said = change(platform, app, BROKEN)
    number = re.search(r"Released (v\d+)", said)
    assert number
    assert "remote: Verifying deploy... failed." in said
    assert f"remote:  !     web.1 of {number[1]} crashed." in said
    assert "remote:  !     See: pogo logs -a fragile" in said
    assert platform.get("fragile").body == "v2 web.1"
    eventually(lambda: count(platform, app, "Crashed 3 times in a row: next start in 1") == 1)
    assert re.search(r"^web\.1: crashed ", platform.pogo("ps", cwd=app), re.M)
    starts = [at for at, words in lines(platform, app) if words.startswith("Starting process with command `echo")]
    pauses = [(after - before).total_seconds() for before, after in pairwise(starts)]
    assert len(pauses) == 2
    assert pauses[0] < 4 <= pauses[1] < 20
    assert platform.get("fragile").body == "v2 web.1"
    change(platform, app, {**WORKING, **small("v4")})
    eventually(lambda: platform.get("fragile").body == "v4 web.1")


def test_a_web_process_that_never_answers(platform: Installation, app: Path) -> None:
    try:
        platform.up(POGO_BOOT_TIMEOUT="3")
        said = change(platform, app, SILENT)
        assert "remote: Verifying deploy... failed." in said
        words = [words for _, words in lines(platform, app)]
        failed = words.index(
            "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 3 seconds of launch"
        )
        assert words[failed + 1] == "Stopping process with SIGKILL"
        eventually(lambda: "Process exited with status 137" in [words for _, words in lines(platform, app)][failed:])
        eventually(lambda: "State changed from starting to crashed" in [w for _, w in lines(platform, app)][failed:])
        assert platform.get("fragile").body == "v4 web.1"
    finally:
        platform.up(POGO_BOOT_TIMEOUT="60")
    platform.pogo("rollback", cwd=app)
    eventually(lambda: platform.pogo("ps", cwd=app).count(": up ") == 1)
    assert platform.get("fragile").body == "v4 web.1"


def test_an_app_that_only_crashes_is_h10(platform: Installation) -> None:
    work = make(platform, "hopeless", BROKEN)
    said = platform.push(work)
    assert "remote: Verifying deploy... failed." in said
    assert platform.get("hopeless").status == 503
    eventually(lambda: platform.get("hopeless") and "code=H10" in platform.pogo("logs", "-d", "router", cwd=work))
    assert "Application error" in platform.get("hopeless").body
    platform.pogo("destroy", "--confirm", "hopeless", cwd=work)
