"""What strangers put into archives."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo import archive
from pogo.archive import Refused, examine, leads_out

KINDS = {"@": tarfile.SYMTYPE, "=": tarfile.LNKTYPE, "|": tarfile.FIFOTYPE, "%": tarfile.BLKTYPE, "/": tarfile.DIRTYPE}


def write(path: Path, *members: tuple[str, str], mode: str = "w") -> Path:
    """Members by name and kind: `@` symbolic link, `=` hard link, `|` pipe, `%` device, `/` directory, else a file."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.type = KINDS.get(what[:1], tarfile.REGTYPE)
            info.linkname = what[1:]
            tar.addfile(info, io.BytesIO())
    return path


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("/etc/x", "")], "points outside the tree"),
        ([("a/../../x", "")], "points outside the tree"),
        ([("..", "/")], "points outside the tree"),
        ([("link", "@b"), ("link/x", "")], "lies behind a symbolic link"),
        ([("./link", "@b"), ("link//x/y", "")], "lies behind a symbolic link"),
        ([("link", "@b"), ("second", "=link"), ("second/x", "")], "lies behind a symbolic link"),
        ([("hard", "=/etc/passwd")], "is a hard link to '/etc/passwd', outside the tree"),
        ([("hard", "=../x")], "is a hard link to '../x', outside the tree"),
        ([("link", "@/"), ("hard", "=link/etc/passwd")], "is a hard link to a file behind a symbolic link"),
        ([("pipe", "|")], "is a device or a pipe"),
        ([("disk", "%")], "is a device or a pipe"),
        ([], "it is empty"),
        ([("./", "/")], "it is empty"),
    ],
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_what_is_refused(tmp_path: Path, members: list[tuple[str, str]], reason: str, mode: str) -> None:
    with pytest.raises(Refused) as caught:
        examine(write(tmp_path / "x", *members, mode=mode))
    assert reason in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"this is no archive", b"\x1f\x8b\x08 neither", bytes(1024)])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(Refused):
        examine(tmp_path / "x")


@given(st.binary(max_size=2000), st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, packed: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(gzip.compress(data) if packed else data)
    try:
        examine(path)
    except Refused:
        return


def test_an_honest_tree(tmp_path: Path) -> None:
    members = [("./", "/"), ("./a/b", ""), ("./a/c", "@b"), ("./a/d", "=./a/b"), ("./e", "@a"), ("./f", "@/app/x")]
    found = examine(write(tmp_path / "x", *members, mode="w:gz"))
    assert (found.compressed, found.dotted, found.tops, found.links_out) == (True, True, {"a", "e", "f"}, [])


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a/b", "../c", False),
        ("a/b", "../../c", True),
        ("a", "..", True),
        ("a", "b/../../c", True),
        ("a", "/etc/passwd", True),
        ("a", "/app/../etc/passwd", True),
        ("a", "/appx", True),
        ("log/x.log", "/dev/stdout", False),
        ("a", "/usr/bin/python3", False),
    ],
)
def test_links_that_lead_out(tmp_path: Path, path: str, target: str, out: bool) -> None:
    assert leads_out(path.split("/"), target) is out
    assert bool(examine(write(tmp_path / "x", (path, "@" + target))).links_out) is out


def test_a_slug_lies_in_app(tmp_path: Path) -> None:
    good = write(tmp_path / "good", ("./", "/"), ("./app/", "/"), ("./app/x", "@../app/y"), mode="w:gz")
    assert examine(good, within="app").tops == {"app"}
    with pytest.raises(Refused, match=r"'bin/x' is not below \./app/"):
        examine(write(tmp_path / "bad", ("app/x", ""), ("bin/x", "")), within="app")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RATIO_FROM", 1 << 20)
    with tarfile.open(tmp_path / "zeros", "w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 20 << 20
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(Refused, match="100 times its size"):
        examine(tmp_path / "zeros")
    monkeypatch.setattr(archive, "MAX_ENTRIES", 2)
    with pytest.raises(Refused, match="or 2 files"):
        examine(write(tmp_path / "many", ("a", ""), ("b", ""), ("c", "")))
    monkeypatch.setattr(archive, "MAX_BYTES", 1 << 30)
    big = tarfile.TarInfo("big")
    big.size = 2 << 30
    (tmp_path / "big").write_bytes(big.tobuf())
    with pytest.raises(Refused, match="more than 1 GB"):
        examine(tmp_path / "big")


def test_a_header_that_would_fill_the_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "x").write_bytes(header.tobuf() + bytes(4096))
    with pytest.raises(Refused, match="header of more than 1 MB"):
        examine(tmp_path / "x")
