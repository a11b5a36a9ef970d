"""Parts of the builder that need no container: the source tree, requests, and what is printed."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.build import packs, source
from pogo.build.failures import AppFault, CompileFailed, DiskFull, disk_is_full, show
from pogo.build.output import megabytes
from pogo.build.request import Places, Request


def archive(path: Path, *names: str, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return path


def files(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("mode", "names", "expected"),
    [
        ("w", ["top/a", "top/b/c"], {"top/a", "top/b/c"}),
        ("w:gz", ["top/a", "top/b/c"], {"a", "b/c"}),
        ("w:gz", ["./a", "./b/c"], {"a", "b/c"}),
        ("w:gz", ["only"], {"only"}),
        ("w", ["a", ".git/HEAD", "sub/.git/HEAD"], {"a", "sub/.git/HEAD"}),
    ],
)
def test_unpacking(tmp_path: Path, mode: str, names: list[str], expected: set[str]) -> None:
    source.unpack(archive(tmp_path / "source.tar", *names, mode=mode), tmp_path / "build")
    assert files(tmp_path / "build") == expected


def test_slugignore_deletes_files_directories_and_links(tmp_path: Path) -> None:
    for name in ("keep", "x.log", "deep/y.log", "tmp/a", "tmp/b/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "old.log").symlink_to("/etc")
    assert source.apply_slugignore(tmp_path) is None
    (tmp_path / ".slugignore").write_text("*.log\ntmp/\n")
    assert source.apply_slugignore(tmp_path) == 5
    assert files(tmp_path) == {"keep", ".slugignore"}
    assert not (tmp_path / "old.log").is_symlink()


def test_a_request_with_only_what_is_necessary(tmp_path: Path) -> None:
    path = tmp_path / "build.json"
    path.write_text(json.dumps({"stack": "heroku-24", "stack_name": "pogo-13", "source_version": None, "later": 1}))
    request = Request.load(path)
    assert request == Request("heroku-24", "pogo-13")
    assert request.base_env(Places())["SOURCE_VERSION"] == ""


@given(st.dictionaries(st.sampled_from(["PATH", "HOME", "STACK", "PIP_CERT"]), st.text()))
def test_the_operators_environment_adds_but_does_not_replace(env: dict[str, str]) -> None:
    found = Request("heroku-24", "pogo-13", env=env, config={"SECRET": "x"}).base_env(Places())
    assert (found["HOME"], found["STACK"]) == ("/app", "heroku-24")
    assert found.get("PIP_CERT") == env.get("PIP_CERT")
    assert "SECRET" not in found


def test_failures_are_told_as_heroku_does(capsys: pytest.CaptureFixture[str]) -> None:
    show(CompileFailed("Python"))
    assert capsys.readouterr().out == "\n !     Push rejected, failed to compile Python app.\n\n !     Push failed\n"
    show(AppFault("One.\nTwo.", "Hint."))
    assert capsys.readouterr().out == " !     One.\n       Two.\n       Hint.\n\n !     Push failed\n"


@pytest.mark.parametrize(("size", "expected"), [(0, "0K"), (4096, "4K"), (120_000, "0.1M"), (47_395_635, "45.2M")])
def test_sizes(size: int, expected: str) -> None:
    assert megabytes(size) == expected


def test_a_full_disk_is_told_from_other_failures(tmp_path: Path) -> None:
    assert disk_is_full(tmp_path, b"cp: error writing 'x': No space left on device")
    assert not disk_is_full(tmp_path, b"SyntaxError")
    assert list(tmp_path.iterdir()) == []
    assert DiskFull().status == 2


def test_output_passes_in_order_and_a_background_process_does_not_hold_the_build(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", os.fdopen(os.dup(1), "w"))
    script = "echo one; echo two >&2; printf three; sleep 3 & exit 7"
    status, tail = packs.pass_through(["/bin/bash", "-c", script], tmp_path, {"PATH": os.environ["PATH"]})
    assert (status, tail) == (7, b"one\ntwo\nthree")
    assert capfdbinary.readouterr().out == b"one\ntwo\nthree"
