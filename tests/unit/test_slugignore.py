from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pogo.rules.slugignore import compile_patterns

PATHS = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=3).filter(
    lambda parts: not {".", ".."} & set(parts)
)
PATTERNS = st.text("ab./*?[]-", min_size=1, max_size=7)


def ignored(text: str, path: str) -> bool:
    """What the caller does: a path is out if it or a directory above it matches."""
    matches = compile_patterns(text)
    parts = path.split("/")
    return any(matches("/".join(parts[:depth]), depth < len(parts)) for depth in range(1, len(parts) + 1))


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.psd", "art/logo.psd", True),
        ("test", "test/a.py", True),
        ("test", "lib/test/a.py", True),
        ("/test", "lib/test/a.py", False),
        ("/test", "test/a.py", True),
        ("docs/", "docs", False),
        ("docs/", "docs/a", True),
        ("spec/data", "spec/data/x", True),
        ("spec/data", "lib/spec/data/x", False),
        ("a*c", "a/c", False),
        ("/**/tmp", "x/y/tmp", True),
        ("/a/**", "a/b/c", True),
        ("[ab].txt", "b.txt", True),
        ("[!ab].txt", "b.txt", False),
        ("!keep", "keep", False),
        ("# note", "# note", False),
        (r"\#x", "#x", True),
        ("/", "anything", False),
    ],
)
def test_examples(pattern: str, path: str, expected: bool) -> None:
    assert ignored(pattern, path) is expected


@given(st.text(), PATHS)
def test_any_text_is_a_usable_file(text: str, parts: list[str]) -> None:
    ignored(text, "/".join(parts))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ignore")
    subprocess.run(["git", "init", "-q", directory], check=True)
    return directory


@settings(max_examples=60, deadline=None)
@given(patterns=st.lists(PATTERNS, max_size=3), paths=st.lists(PATHS, min_size=1, max_size=12))
def test_it_decides_as_git_does(repository: Path, patterns: list[str], paths: list[list[str]]) -> None:
    text = "\n".join(patterns) + "\n"
    # Where git's own reading of a broken bracket or of stars beside a slash is peculiar, ours may differ.
    if any(letter in text for letter in "[]") or "**" in text or "//" in text:
        return
    (repository / ".git/info/exclude").write_text(text)
    names = ["/".join(parts) for parts in paths]
    asked = ["git", "-C", str(repository), "check-ignore", "--no-index", "--stdin", "-z"]
    answer = subprocess.run(asked, input="\0".join(names), capture_output=True, text=True, check=False).stdout
    assert {name for name in names if ignored(text, name)} == set(filter(None, answer.split("\0")))
