from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules.procfile import InvalidProcfile, Procfile, merge, parse, parse_bytes

NAMES = st.text("abcXYZ019_-", min_size=1, max_size=12)
COMMANDS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1).map(str.strip).filter(bool)


@given(st.dictionaries(NAMES, COMMANDS, min_size=1))
def test_what_is_written_is_read(types: dict[str, str]) -> None:
    text = "".join(f"{name}: {command}\n" for name, command in types.items())
    assert parse(text) == Procfile(types)


@given(st.dictionaries(NAMES, COMMANDS, min_size=1))
def test_windows_line_ends_comments_and_blank_lines_change_nothing(types: dict[str, str]) -> None:
    text = "".join(f"# about {name}: this\r\n\r\n{name}:\t{command}\r\n" for name, command in types.items())
    assert parse("\ufeff" + text) == Procfile(types)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except InvalidProcfile:
        return
    assert all(command.strip() for command in found.types.values())


@given(st.binary())
def test_any_file_is_read_or_refused(data: bytes) -> None:
    try:
        parse_bytes(data)
    except InvalidProcfile:
        return


def test_the_last_of_two_lines_wins_and_the_command_is_unchanged() -> None:
    assert parse('web: old\nweb: FOO="a: b" run --x # y $PORT').types == {"web": 'FOO="a: b" run --x # y $PORT'}


def test_lines_that_say_nothing_are_passed_over_and_named() -> None:
    assert parse("web: run\nmy worker: run").types == {"web": "run"}
    assert parse("web: run\njust text\nworker:\n") == Procfile({"web": "run"}, {2: "just text", 3: "worker:"})


@pytest.mark.parametrize("text", ["", "\n\n", "# web: run\n"])
def test_an_empty_procfile_declares_nothing(text: str) -> None:
    assert parse(text) == Procfile({})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("web run", "line 1: 'web run' is not of the form 'name: command'"),
        ("\n# x\nweb:", "line 3: 'web:' is not of the form"),
        ("#\nmy worker: run", "line 2: 'my worker' is not a process type"),
        ("wörker: run", "line 1: 'wörker' is not a process type"),
        ("  web: run", "line 1: '  web' is not a process type"),
        ("web: a\0b", "NUL"),
    ],
)
def test_a_bad_line_is_named(text: str, reason: str) -> None:
    with pytest.raises(InvalidProcfile) as caught:
        parse(text)
    assert reason in str(caught.value)


def test_a_file_that_is_not_text_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidProcfile, match="line 2: it is not UTF-8"):
        parse_bytes(b"web: run\nworker: \xff")


@given(st.dictionaries(NAMES, COMMANDS), st.dictionaries(NAMES, COMMANDS))
def test_defaults_lie_below_the_procfile(declared: dict[str, str], defaults: dict[str, str]) -> None:
    merged = merge(declared, defaults)
    assert set(merged) == set(declared) | set(defaults)
    assert all(merged[name] == command for name, command in declared.items())
