"""Where the URL of the new database comes from: a password is in nobody's command line."""

from __future__ import annotations

import io

import pytest

from pogo.install.database_move import NotMoved, asked

URL = "postgresql://pogo:secret@db.example.com:5432/pogo"


def test_a_password_in_the_command_line_is_refused() -> None:
    with pytest.raises(NotMoved, match=r"\(ps\). Leave the URL out"):
        asked(URL)


def test_a_url_without_one_is_taken() -> None:
    assert asked("postgresql://pogo@/pogo?host=/run/postgresql") == "postgresql://pogo@/pogo?host=/run/postgresql"


def test_what_is_no_database_is_said() -> None:
    with pytest.raises(NotMoved, match="no PostgreSQL database"):
        asked("mysql://pogo@host/pogo")


def test_it_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{URL}\n"))
    assert asked(None) == URL
