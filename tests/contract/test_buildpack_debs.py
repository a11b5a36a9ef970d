"""Packages of the system in a tree of the app's: real apt and dpkg on a small repository of our own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/common"))

from pack import debs
from pack.steps import BuildFailed

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="apt is not installed")
ENV = {**os.environ, "STACK": "heroku-24"}
STATUS = """Package: in-stack
Status: install ok installed
Version: 1.0
Architecture: all
Maintainer: x
Description: x
"""


class Repository:
    """Packages in a directory that apt reads as a mirror, and the stack that it resolves against."""

    def __init__(self, place: Path) -> None:
        self.place = place / "mirror"
        self.etc = place / "etc"
        self.status = place / "status"
        self.cache = place / "cache"
        self.root = place / "root"
        self.entries: list[str] = []
        for path in (self.place, self.etc / "apt.conf.d", self.etc / "sources.list.d", self.cache):
            path.mkdir(parents=True)
        self.status.write_text(STATUS)
        self.source(f"copy:{self.place}")

    def source(self, uri: str) -> None:
        (self.etc / "sources.list").write_text(f"deb [trusted=yes] {uri} ./\n")

    def add(self, name: str, version: str, depends: str = "", links: dict[str, str] | None = None) -> None:
        tree = self.place / f"{name}-{version}"
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: x <x@example.com>\n"
        control += f"Depends: {depends}\n" if depends else ""
        control += "Description: x\n"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(control)
        for path in (f"lib/{name}-{version}", f"usr/share/man/{name}", f"usr/share/doc/{name}/copyright"):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(name)
        for path, target in (links or {}).items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).symlink_to(target)
        file = self.place / f"{name}_{version}_all.deb"
        command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(file)]
        subprocess.run(command, check=True, capture_output=True)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        self.entries.append(f"{control}Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {digest}\n")
        (self.place / "Packages").write_text("\n".join(self.entries))

    def install(self, *packages: str, without: tuple[str, ...] = ()) -> list[str]:
        return debs.install(packages, self.root, self.cache, ENV, without=without)

    @property
    def programs(self) -> list[str]:
        return sorted(path.name for path in (self.root / "usr/lib").iterdir())


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository(tmp_path)
    monkeypatch.setattr(debs, "SOURCES", made.etc)
    monkeypatch.setattr(debs, "STATUS", made.status)
    made.add("tool", "1.0", "base, in-stack", {"usr/bin/tool": "/lib/tool-1.0", "usr/bin/sh": "/bin/no-such-file"})
    made.add("base", "1.0")
    made.add("in-stack", "2.0")
    made.add("other", "1.0")
    return made


def test_what_the_stack_has_is_left_out_and_links_stay_in_the_tree(repository: Repository) -> None:
    assert repository.install("tool", "in-stack") == ["base 1.0", "tool 1.0"]
    assert repository.programs == ["base-1.0", "tool-1.0"]
    assert os.readlink(repository.root / "lib") == "usr/lib"
    assert os.readlink(repository.root / "usr/bin/tool") == "../../lib/tool-1.0"
    assert (repository.root / "usr/bin/tool").read_text() == "tool"
    assert os.readlink(repository.root / "usr/bin/sh") == "/bin/no-such-file"
    assert not list((repository.root / "usr/share/man").iterdir())
    assert (repository.root / "usr/share/doc/tool/copyright").is_file()


def test_an_unchanged_list_needs_no_mirror(repository: Repository) -> None:
    first = repository.install("tool")
    repository.source("http://127.0.0.1:9/")  # the sources are part of the key
    with pytest.raises(BuildFailed):
        repository.install("tool")
    repository.source(f"copy:{repository.place}")
    shutil.rmtree(repository.place)
    assert repository.install("tool") == first
    assert repository.programs == ["base-1.0", "tool-1.0"]


def test_another_index_or_list_never_mixes_versions(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.install("tool")
    repository.add("tool", "2.0", "base")
    assert repository.install("tool") == ["base 1.0", "tool 1.0"], "the index was looked at less than a day ago"
    monkeypatch.setattr(debs, "INDEX_SECONDS", 0)
    assert repository.install("tool") == ["base 1.0", "tool 2.0"]
    assert repository.programs == ["base-1.0", "tool-2.0"]
    monkeypatch.setattr(debs, "INDEX_SECONDS", 86400)
    assert repository.install("other") == ["other 1.0"]
    assert repository.programs == ["other-1.0"]
    assert not list((repository.cache / "apt").glob("*.bin"))


def test_the_tree_of_the_last_build_serves_while_the_mirror_is_away(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.install("tool")
    monkeypatch.setattr(debs, "INDEX_SECONDS", 0)
    repository.place.rename(repository.place.with_name("away"))
    assert repository.install("tool") == ["base 1.0", "tool 1.0"]
    assert repository.programs == ["base-1.0", "tool-1.0"]
    assert "The packages of the last build are used as they are." in capsys.readouterr().out


def test_what_is_not_wanted_is_left_out_and_large_packages_are_not_kept(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.install("tool")
    assert repository.install("tool", without=("./lib/base*",)) == ["base 1.0", "tool 1.0"]
    assert repository.programs == ["tool-1.0"]
    assert len(list(repository.cache.glob("apt/archives/*.deb"))) == 2
    monkeypatch.setattr(debs, "KEPT_BYTES", 1)
    repository.install("tool")
    assert repository.programs == ["base-1.0", "tool-1.0"]
    assert not list(repository.cache.glob("apt/archives/*.deb"))


def test_a_damaged_cache_is_made_again(repository: Repository) -> None:
    repository.install("tool")
    (repository.cache / "tree.tar.zst").write_text("damaged")
    assert repository.install("tool") == ["base 1.0", "tool 1.0"]
    (repository.cache / "tree.json").write_text("[]")
    assert repository.install("tool") == ["base 1.0", "tool 1.0"]
    assert repository.programs == ["base-1.0", "tool-1.0"]


def test_what_cannot_be_had_is_named(repository: Repository) -> None:
    with pytest.raises(BuildFailed, match="this stack has no package nothing-like-it, neither"):
        repository.install("tool", "nothing-like-it", "neither")
    repository.source("http://127.0.0.1:9")
    with pytest.raises(BuildFailed, match=r"(?s)cannot be fetched from the mirror 127\.0\.0\.1:9:.*Push again later"):
        repository.install("tool")


@pytest.mark.parametrize(
    "said",
    [
        "E: You don't have enough free space in /tmp/cache/apt/archives/.\n",
        "tar: ./usr/bin/tool: Cannot write: No space left on device\n",
    ],
)
def test_a_full_disk_is_told_as_such(said: str) -> None:
    assert "No space left on the disk" in str(debs._failure("x", said))
