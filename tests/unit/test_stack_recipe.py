"""Where Debian comes from, and what is in a stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from pogo.errors import NotFound
from pogo.stack import image as stack
from pogo.stack.aptsources import Mirror, NoMirror, Source, find_mirror, read_sources

DEB822 = """\
# the archive
Types: deb deb-src
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
deb [arch=amd64 signed-by=/x] http://vendor.test/apt bookworm main
deb http://mirror.test/debian bookworm main # the archive
deb-src http://mirror.test/debian bookworm main
deb http://mirror.test/debian bookworm-updates main
"""


def apt(tmp_path: Path, name: str, text: str) -> list[Source]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return read_sources(tmp_path)


def test_the_deb822_format(tmp_path: Path) -> None:
    sources = apt(tmp_path, "sources.list.d/debian.sources", DEB822)
    assert find_mirror(sources, "bookworm") == Mirror("http://mirror.test/debian", "http://mirror.test/security")


def test_the_one_line_format_and_a_vendor_with_debians_suite_names(tmp_path: Path) -> None:
    mirror = find_mirror(apt(tmp_path, "sources.list", ONE_LINE), "bookworm")
    assert mirror == Mirror("http://mirror.test/debian", "")
    assert mirror.lines("trixie") == [
        "deb http://mirror.test/debian trixie main",
        "deb http://mirror.test/debian trixie-updates main",
    ]


def test_a_list_of_mirrors_stands_for_its_first(tmp_path: Path) -> None:
    (tmp_path / "mirrors").write_text("# ours\nhttp://first.test/debian\tpriority:1\nhttp://second.test/debian\n")
    text = DEB822.replace("http://mirror.test/debian/", f"mirror+file:{tmp_path}/mirrors")
    assert (
        find_mirror(apt(tmp_path, "sources.list.d/debian.sources", text), "bookworm").main == "http://first.test/debian"
    )


def test_without_a_mirror_the_error_says_where_to_add_one(tmp_path: Path) -> None:
    with pytest.raises(NoMirror, match=r"sources\.list"):
        find_mirror(read_sources(tmp_path), "bookworm")


def test_each_stack_lists_its_own_packages() -> None:
    assert "libpcre3" in stack.packages("bookworm")
    assert "libpcre3" not in stack.packages("trixie")
    assert len({stack.recipe_hash(found) for found in stack.STACKS.values()}) == len(stack.STACKS)


def test_an_image_is_installed_whole_and_older_ones_are_pruned(tmp_path: Path) -> None:
    wanted = stack.find("pogo-13")
    for day in ("202601010000", "202601020000", "202601030000"):
        image = tmp_path / f"pogo-13-{stack.recipe_hash(wanted)}-{day}.squashfs"
        image.write_text(day)
        stack._install(wanted, image, tmp_path / "state", lambda line: None)
    image_in_use = stack.current("pogo-13", tmp_path / "state")
    assert image_in_use is not None
    assert image_in_use.read_text() == "202601030000"
    assert len(list(image_in_use.parent.glob("*.squashfs"))) == stack.KEPT_IMAGES
    assert stack.missing(tmp_path / "state") == ["pogo-12"]


def test_an_unknown_stack_is_named_with_those_that_exist() -> None:
    with pytest.raises(NotFound, match="pogo-13"):
        stack.find("pogo-99")
