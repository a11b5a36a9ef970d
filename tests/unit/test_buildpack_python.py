"""The decisions of the Python pack: which Python, and when an environment may be kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/python/lib"))

from pack.steps import BuildFailed, config_vars
from python_pack import django, install, version


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (".python-version", "3.13", (3, 13)),
        (".python-version", "# ours\n3.12.4\n", (3, 12)),
        ("runtime.txt", "python-3.11.9", (3, 11)),
        (".python-version", "3", None),
    ],
)
def test_the_version_that_is_asked_for(tmp_path: Path, name: str, text: str, expected: tuple[int, int] | None) -> None:
    (tmp_path / name).write_text(text)
    assert version.requested(tmp_path) == (name, expected)


@pytest.mark.parametrize(
    ("name", "text"), [("runtime.txt", "3.11"), (".python-version", "3.11\n3.12"), (".python-version", "pypy")]
)
def test_a_malformed_version_file_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BuildFailed, match=name):
        version.requested(tmp_path)


def test_another_python_than_the_stacks_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.2")
    with pytest.raises(BuildFailed, match=r"Python 3\.2, asked for by \.python-version, is not available here"):
        version.check(tmp_path)


def test_the_key_of_an_environment_follows_every_file_that_decides(tmp_path: Path) -> None:
    def key() -> str | None:
        return install.requirements_key(tmp_path, "3.13.5")

    main, more = tmp_path / "requirements.txt", tmp_path / "more.txt"
    main.write_text("flask==3\n-r more.txt  # and these\n")
    assert key() is None
    more.write_text("django\n")
    first = key()
    assert first == key()
    assert first is not None
    more.write_text("django<5\n")
    assert key() != first
    assert install.requirements_key(tmp_path, "3.13.6") != key()


@pytest.mark.parametrize(
    "line", ["-e .", ".", "./lib", "../x", "file:///x", "x @ file:///y", "-r https://a/b.txt", "/wheels/x.whl"]
)
def test_requirements_that_name_files_are_installed_every_time(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"flask\n{line}\n")
    assert install.requirements_key(tmp_path, "3.13.5") is None


def test_the_manage_py_nearest_to_the_top_counts(tmp_path: Path) -> None:
    assert django.find_manage(tmp_path) is None
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/manage.py").touch()
    assert django.find_manage(tmp_path) == tmp_path / "a/b/manage.py"
    (tmp_path / "a/manage.py").touch()
    assert django.find_manage(tmp_path) == tmp_path / "a/manage.py"


def test_config_vars_that_would_break_the_tools_stay_out(tmp_path: Path) -> None:
    (tmp_path / "PATH").write_text("/nowhere")
    (tmp_path / "KEY").write_text("two\nlines")
    assert config_vars(tmp_path) == {"KEY": "two\nlines"}
