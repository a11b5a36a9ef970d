"""An older version does not take the place of a newer one, nor work on its database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from pogo.install import upgrade
from pogo.install.upgrade import OURS, Downgrade, Installed, needs_backup, refuse_downgrade
from pogo.services import database
from pogo.settings import Settings


@pytest.mark.parametrize(
    ("there", "ours"),
    [
        (None, Installed("0.1.0", "0015")),
        (Installed("0.1.0", "0015"), Installed("0.1.0", "0015")),
        (Installed("0.9.0", "0015"), Installed("0.10.0", "0016")),
        (Installed("1.0rc1", "0015"), Installed("1.0", "0015")),
    ],
)
def test_the_same_and_newer_ones_may(there: Installed | None, ours: Installed) -> None:
    refuse_downgrade(there, ours)


@pytest.mark.parametrize(
    ("there", "ours"),
    [
        (Installed("0.2.0", "0015"), Installed("0.1.9", "0015")),
        (Installed("0.10.0", "0015"), Installed("0.9.0", "0015")),
        (Installed("0.1.0", "0016"), Installed("0.1.0", "0015")),
    ],
)
def test_older_ones_may_not(there: Installed, ours: Installed) -> None:
    with pytest.raises(Downgrade, match=f"installed is newer: {there.version} .*Nothing was changed"):
        refuse_downgrade(there, ours)


def test_a_backup_is_taken_once_for_a_new_schema() -> None:
    ours = Installed("0.2.0", "0016")
    assert needs_backup(Installed("0.1.0", "0015"), ours)
    assert not needs_backup(Installed("0.1.0", "0015", backed_up_for="0016"), ours)
    assert not needs_backup(Installed("0.1.0", "0016"), ours)


def test_the_database_knows_better_than_the_record() -> None:
    assert upgrade.there(None, None) is None
    assert upgrade.there(None, "0015") == Installed("0", "0015")
    recorded = Installed("0.1.0", "0015", backed_up_for="0016")
    assert upgrade.there(recorded, None) == upgrade.there(recorded, "0014") == recorded
    with pytest.raises(Downgrade, match="schema 0017"):
        refuse_downgrade(upgrade.there(recorded, "0017"), Installed("0.1.0", "0016"))


def test_what_is_installed_is_on_record(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    assert upgrade.installed(settings) is None
    upgrade.record(settings)
    assert upgrade.installed(settings) == OURS
    (tmp_path / "installed.json").write_text("{")
    with pytest.raises(Exception, match="cannot be read"):
        upgrade.installed(settings)


def test_the_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/db"
    with pytest.raises(database.WrongSchema, match="schema of no version"):
        database.refuse_other(url)
    database.migrate(url)
    database.refuse_other(url)
    newer = f"{int(database.newest_revision()) + 1:04}"
    with create_engine(url).begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{newer}'"))
    for refuse in (database.migrate, database.refuse_other):
        with pytest.raises(database.WrongSchema, match=f"schema {newer} of a newer version"):
            refuse(url)


def test_the_newest_revision_is_found_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/db"
    database.migrate(url)
    with create_engine(url).connect() as connection:
        assert database.revisions(connection) == (database.newest_revision(),) * 2
