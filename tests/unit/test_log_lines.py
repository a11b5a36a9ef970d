"""Output into lines, and lines as users see them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules.log_lines import (
    LINE_BYTES,
    Piece,
    UserLine,
    character_boundary,
    clean,
    format_line,
    matches,
    parse_line,
    split_output,
)


def texts(data: bytes) -> list[str]:
    return [piece.text for piece in split_output(data, len(data))]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\n", ["a"]),
        (b"a\nb", ["a", "b"]),
        (b"\n\na\n", ["", "", "a"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\r\n", [""]),
        (b"10%\r20%\r100%\n", ["10%", "20%", "100%"]),
        (b"\r10%\r20%\r\r\ndone\n", ["10%", "20%", "done"]),
        (b"a\r", ["a"]),
        (b"nul\0bell\x07tab\t\n", ["nul␀bell␇tab\t"]),
        (b"caf\xc3\xa9 \xff\xfe\n", ["café ��"]),
        ("line\u2028separator\u0085next\n".encode(), ["line separator�next"]),
        (b"\x1b[31mred\x1b[0m\n", ["\x1b[31mred\x1b[0m"]),
        (b"\x1b[2J\x1b[1;1Hgone\x1b[K\n", ["gone"]),
        (b"\x1b]0;title\x07\x1b]52;c;YQ==\x1b\\text\n", ["text"]),
        (b"\x1bPq\x1b\\text\x1b(B \x1b\n", ["text ␛"]),
        (b"\x1b]0;never ended\n", ["␛]0;never ended"]),
    ],
)
def test_output_becomes_harmless_lines(data: bytes, lines: list[str]) -> None:
    assert texts(data) == lines


def test_offsets_are_those_of_the_output() -> None:
    assert split_output(b"ab\r\nc\n", 106) == [Piece(104, "ab"), Piece(106, "c")]
    long = b"x" * (2 * LINE_BYTES + 5) + b"\n"
    assert [(piece.end, len(piece.text)) for piece in split_output(long, len(long))] == [
        (LINE_BYTES, LINE_BYTES),
        (2 * LINE_BYTES, LINE_BYTES),
        (len(long), 5),
    ]
    assert len(split_output(b"x" * LINE_BYTES + b"\n", LINE_BYTES + 1)) == 1


def test_long_lines_are_cut_between_characters() -> None:
    pieces = texts("€".encode() * 5000)
    assert "".join(pieces) == "€" * 5000
    assert [len(piece.encode()) for piece in pieces] == [9999, 5001]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_a_boundary_is_near(data: bytes, stop: int) -> None:
    stop = min(stop, len(data))
    assert stop - 3 <= character_boundary(data, stop) <= stop


@given(st.text(max_size=40), st.integers(0, 160))
def test_a_boundary_splits_no_character(text: str, stop: int) -> None:
    data = text.encode("utf-8", "replace")
    cut = character_boundary(data, min(stop, len(data)))
    assert data[:cut].decode() + data[cut:].decode() == data.decode()


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\xc3\xa9", b"\xff", b"x" * 9000, b"\x1b[", b"m"]), max_size=30))
def test_any_output_is_covered_once(parts: list[bytes]) -> None:
    data = b"".join(parts)
    pieces = split_output(data, 1000 + len(data))
    ends = [piece.end for piece in pieces]
    assert ends == sorted(set(ends))
    assert ends[-1:] == ([1000 + len(data)] if data else [])
    assert all("\n" not in piece.text and "\r" not in piece.text for piece in pieces)
    # Continuing from any line's end gives the lines that follow it.
    for index, piece in enumerate(pieces):
        rest = split_output(data[piece.end - 1000 :], 1000 + len(data))
        assert rest == pieces[index + 1 :]


@given(st.text() | st.binary())
def test_clean_text_is_one_harmless_line(raw: str | bytes) -> None:
    text = clean(raw)
    assert len(f"{text}.".splitlines()) == 1
    assert clean(text) == text
    assert not any(ord(char) < 32 and char not in "\t\x1b" for char in text)


def test_users_see_herokus_format() -> None:
    line = format_line(1795435200.123456, "app", "web.1", "hello [x]: y")
    assert line == "2026-11-23T12:00:00.123456+00:00 app[web.1]: hello [x]: y"
    assert parse_line(line) == UserLine(1795435200.123456, "app", "web.1", "hello [x]: y")
    assert parse_line("2026-11-23T12:00:00Z heroku[router]: ") == UserLine(1795435200.0, "heroku", "router", "")
    assert parse_line("hello") is None


@given(st.integers(0, 4_000_000_000_000_000), st.text().map(clean))
def test_a_formatted_line_parses(microseconds: int, text: str) -> None:
    parsed = parse_line(format_line(microseconds / 1e6, "heroku", "api", text))
    assert parsed is not None
    assert abs(parsed.at - microseconds / 1e6) < 2e-6
    assert parsed[1:] == ("heroku", "api", text)


def test_filters() -> None:
    assert matches("app", "web.1", "", "")
    assert matches("app", "web.1", "app", "web")
    assert matches("app", "web.1", "", "web.1")
    assert not matches("app", "web.10", "", "web.1")
    assert not matches("app", "webhook.1", "", "web")
    assert not matches("heroku", "web.1", "app", "web.1")
