"""The seal of a backup, what is in it, and which backups and objects are kept."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.backup import catalog, contents, seal
from pogo.backup.contents import Manifest
from pogo.backup.record import Record
from pogo.backup.seal import BadRecoveryKey, Damaged, Opened, RecoveryKey, TooNew, WrongKey
from pogo.install.doctor import backups
from pogo.install.restore import kept_settings
from pogo.loops.backups import due_in
from pogo.store.files import FileStore
from pogo.store.marks import foreign

KEY = RecoveryKey.new()
NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)


def sealed(*pieces: bytes) -> bytes:
    return b"".join(seal.sealed(KEY.public, pieces))


def opened(data: bytes, key: RecoveryKey = KEY) -> bytes:
    return Opened(io.BytesIO(data), key).read() or b""


@given(st.lists(st.integers(0, 3 * seal.FRAME // 2), max_size=4))
def test_what_is_sealed_is_opened(sizes: list[int]) -> None:
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    assert opened(sealed(*pieces)) == b"".join(pieces)


def test_a_recovery_key_is_read_as_it_is_written_and_a_slip_is_found() -> None:
    assert RecoveryKey.parse(f"  {KEY.text.upper().replace('POGO-RECOVERY-', 'pogo-recovery-')}\n") == KEY
    at = len("pogo-recovery-") + 3
    slip = KEY.text[:at] + ("a" if KEY.text[at] != "a" else "b") + KEY.text[at + 1 :]
    for wrong in (slip, "", "pogo-recovery-1", KEY.text[:-1]):
        with pytest.raises(BadRecoveryKey):
            RecoveryKey.parse(wrong)
    assert KEY.text not in repr(KEY) and KEY.raw.hex() not in repr(KEY)


def test_damage_anywhere_is_found() -> None:
    whole = sealed(b"a" * seal.FRAME, b"b" * 5)
    header = whole.index(b"\n") + 1
    for at in (0, 5, header // 2, header + 1, header + 10, header + seal.FRAME, len(whole) - 1):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises((Damaged, WrongKey, TooNew)):
            opened(damaged)
    for cut in (0, 7, header, header + 2, header + seal.FRAME, header + seal.FRAME + 20, len(whole) - 1):
        with pytest.raises(Damaged):
            opened(whole[:cut])
    with pytest.raises(Damaged, match="something follows"):
        opened(whole + b"x")


def test_a_wrong_key_and_a_newer_format_are_told_as_such() -> None:
    with pytest.raises(WrongKey, match=seal.key_id(KEY.public)):
        opened(sealed(b"x"), RecoveryKey.new())
    with pytest.raises(TooNew, match="format 2"):
        opened(sealed(b"x").replace(b'"format": 1', b'"format": 2'))


def archive(inside: dict[str, Path | bytes], **changes: object) -> bytes:
    listed = {name: contents.entry(source) for name, source in inside.items()}
    fields: dict[str, object] = {"version": "1", "schema": "0001", "taken_at": NOW.isoformat(), "installation": "i"}
    manifest = Manifest(**{**fields, "files": listed, **changes})  # type: ignore[arg-type]
    return b"".join(seal.sealed(KEY.public, contents.packed(manifest, inside)))


def test_files_come_back_from_an_archive(tmp_path: Path) -> None:
    database = tmp_path / "database"
    database.write_bytes(bytes(range(256)) * 10_000)
    data = archive({"database.sqlite": database, "keys/secrets.key": b"secret\n", "empty": b""})
    assert b"secret" not in data
    target = tmp_path / "to"
    target.mkdir()
    found = contents.unpack(io.BytesIO(data), KEY, target)
    assert found.moment == NOW and found.installation == "i"
    assert (target / "database.sqlite").read_bytes() == database.read_bytes()
    assert (target / "keys/secrets.key").read_bytes() == b"secret\n" and (target / "empty").read_bytes() == b""
    assert (target / "keys/secrets.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        ("lacks other", {"files": {"empty": contents.entry(b""), "other": contents.entry(b"")}}),
        ("is not what was backed up", {"files": {"empty": (0, "0" * 64)}}),
        ("cannot read", {"format": 2}),
    ],
)
def test_an_archive_that_is_not_its_list_is_refused(tmp_path: Path, said: str, changes: dict[str, object]) -> None:
    with pytest.raises((Damaged, TooNew), match=said):
        contents.unpack(io.BytesIO(archive({"empty": b""}, **changes)), KEY, tmp_path)


def test_names_are_in_the_order_of_time_and_the_oldest_go(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    made = [catalog.new(NOW + timedelta(hours=hours)) for hours in (30, 0, 10, 20)]
    assert [one.at for one in sorted(made)] == [NOW + timedelta(hours=hours) for hours in (0, 10, 20, 30)]
    for one in made:
        catalog.hold(store, one, [f"slugs/{one.name}"])
        store.put(one.key, [b"x"])
    store.put("backups/readme.txt", [b"not one of ours"])
    killed, running = catalog.new(NOW - timedelta(days=2)), catalog.new(NOW + timedelta(hours=31))
    for one in (killed, running):
        catalog.hold(store, one, [f"slugs/{one.name}"])
    catalog.tidy(store, 2, NOW + timedelta(hours=31))
    kept = sorted(made)[2:]
    assert catalog.all_of(store) == kept and catalog.find(store, "") == kept[-1]
    assert catalog.held(store) == {f"slugs/{one.name}" for one in (*kept, running)}
    assert catalog.find(store, kept[0].name) == kept[0]


def test_when_the_next_backup_is_due() -> None:
    assert due_in(None, 24, NOW) == 0
    assert due_in(NOW - timedelta(hours=25), 24, NOW) == 0
    assert due_in(NOW - timedelta(hours=23), 24, NOW) == 3600
    assert due_in(NOW + timedelta(days=400), 24, NOW) == 24 * 3600, "a clock that was wrong once"
    assert due_in(None, 0, NOW) == float("inf")


def test_whose_objects_are_in_a_store(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    assert foreign(store, "") == "", "made before there were marks"
    store.put("installations/a", [b""])
    assert foreign(store, "installations/a") == ""
    assert "another installation too (installations/a)" in foreign(store, "")
    store.put("installations/b", [b""])
    assert "another installation too (installations/b)" in foreign(store, "installations/a")
    store.delete("installations/a")
    assert "taken the objects over" in foreign(store, "installations/a")


def test_settings_of_a_machine_and_files_that_are_not_here_do_not_come_along() -> None:
    given = {
        "POGO_DOMAIN": "example.org", "POGO_HTTP_PORT": "80", "POGO_STORE_URL": "s3://a", "POGO_KEEP_SLUGS": "3",
        "POGO_TLS_CERT": "/there", "POGO_ACME_CA": "/not-there",
    }  # fmt: skip
    kept = kept_settings(given, lambda path: path == Path("/there"))
    assert kept == {"POGO_DOMAIN": "example.org", "POGO_KEEP_SLUGS": "3", "POGO_TLS_CERT": "/there"}


def test_what_doctor_says_of_backups() -> None:
    good = Record(name="a", at=(NOW - timedelta(hours=30)).isoformat())
    assert backups.backup(Record(), 24, NOW).level == "ok"
    assert backups.backup(good, 24, NOW).level == backups.backup(good, 0, NOW).level == "ok"
    late = backups.backup(good, 12, NOW)
    assert (late.level, late.found) == ("warning", "the last one is 30 h old")
    wrong = backups.backup(replace(good, why="the disk is full"), 24, NOW)
    assert wrong.level == "warning" and wrong.found.endswith("30 h old; the last try failed: the disk is full")
    assert not backups.drill(good) and not backups.restoring("")
    assert backups.drill(replace(good, drill="it is damaged"))[0].level == "failed"
    assert backups.restoring("20261124t0230z-0")[0].advice.endswith("pogo admin:restore 20261124t0230z-0")
