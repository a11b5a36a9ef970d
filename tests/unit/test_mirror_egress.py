"""The egress log: complete after a kill, bounded, readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from pogo.mirror import egress
from pogo.mirror.egress import EgressLog, entries, not_had, shown
from pogo.rules.build_passes import Visitor

BUILD = Visitor("my-app", "b1")


def test_a_request_is_one_entry_with_its_end(tmp_path: Path) -> None:
    log = EgressLog(tmp_path)
    entry = log.begin(BUILD, "CONNECT", "pypi.org", 443, by="passed")
    entry.send(10)
    entry.receive(20)
    entry.status = 200
    log.end(entry)
    (found,) = entries(tmp_path)
    assert (found.app, found.host, found.sent, found.received, found.status) == ("my-app", "pypi.org", 10, 20, 200)
    line = shown(found)
    assert "app=my-app build=b1 by=passed CONNECT pypi.org status=200 sent=10 received=20" in line


def test_what_was_open_at_a_kill_is_there(tmp_path: Path) -> None:
    EgressLog(tmp_path).begin(BUILD, "CONNECT", "pypi.org", 443, by="passed")
    log = EgressLog(tmp_path)
    log.refuse(BUILD, "CONNECT", "10.0.0.1", 443, "it is private")
    first, second = entries(tmp_path)
    assert (first.by, first.reason) == ("refused", "it is private")
    assert (second.host, second.seconds) == ("pypi.org", None)
    assert shown(second).endswith("unfinished")
    assert shown(first).endswith('reason="it is private"')


def test_the_owner_of_a_build_is_told_what_it_could_not_fetch(tmp_path: Path) -> None:
    assert not_had(tmp_path, "b1") == []
    log = EgressLog(tmp_path)
    for _ in range(3):
        log.refuse(BUILD, "CONNECT", "10.0.0.1", 443, "it is private")
    log.refuse(Visitor("other", "b2"), "CONNECT", "10.0.0.2", 443, "it is private")
    log.fail(log.begin(BUILD, "GET", "nodejs.org", 443, "/dist/x", by="passed"), 502, "no such name")
    log.end(log.begin(BUILD, "CONNECT", "pypi.org", 443, by="passed"))
    assert not_had(tmp_path, "b1") == ["10.0.0.1: it is private", "nodejs.org/dist/x: no such name"]


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    log = EgressLog(tmp_path)
    log.refuse(BUILD, "GET", "a", 80, "x")
    with (tmp_path / egress.NAME).open("ab") as file:
        file.write(b'{"app": "cut\n{}\nnull\n\xff\n')
    EgressLog(tmp_path).refuse(BUILD, "GET", "b", 80, "x")
    assert [entry.host for entry in entries(tmp_path)] == ["a", "b"]


def test_old_lines_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "FILE_BYTES", 1000)
    log = EgressLog(tmp_path)
    for number in range(200):
        log.refuse(BUILD, "GET", f"h{number}", 80, "x")
    hosts = [entry.host for entry in entries(tmp_path)]
    assert hosts == [f"h{number}" for number in range(200 - len(hosts), 200)]
    assert 20 < len(hosts) < 60
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10_000
    assert len([*tmp_path.iterdir()]) <= egress.FILES


def test_a_full_disk_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = EgressLog(tmp_path)
    import os

    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._fd)
    log.refuse(BUILD, "GET", "a", 80, "x")
    assert "egress log is lost" in capsys.readouterr().out
