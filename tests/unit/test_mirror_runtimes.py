"""What the mirror makes of a request: which version, from which archive, laid out how."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.build.fields import filled
from pogo.mirror import CannotMake, Recipe, Request, Served, Supplies
from pogo.mirror.artefacts import FileArtefacts
from pogo.mirror.runtimes import hosts, recipes, semver
from pogo.mirror.runtimes.debian import DebianSources, SourceArchive, nearest, parse_sources, version_of
from pogo.mirror.runtimes.machine import debian_arch, node_arch
from pogo.mirror.runtimes.node import choose, repack

BUCKET = "heroku-buildpack-python.s3.dualstack.us-east-1.amazonaws.com"
RUBIES = "heroku-buildpack-ruby.s3.dualstack.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("wanted", "holds", "holds_not"),
    [
        ("22.x", "22.0.0 22.11.3", "21.9.9 23.0.0"),
        ("22", "22.5.0", "23.0.0"),
        ("^20.1", "20.1.0 20.19.0", "20.0.9 21.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0"),
        ("~16.2", "16.2.0 16.2.9", "16.3.0"),
        (">=18 <21", "18.0.0 20.99.0", "17.9.9 21.0.0"),
        (">= 18", "18.0.0 26.0.0", "17.0.0"),
        ("<=18", "18.9.9 4.0.0", "19.0.0"),
        (">18.1", "18.2.0", "18.1.5"),
        ("18 || 20.1.x", "18.3.0 20.1.9", "19.0.0 20.2.0"),
        ("16.1 - 18", "16.1.0 18.20.0", "16.0.9 19.0.0"),
        ("v22.5.0", "22.5.0", "22.5.1"),
        ("*", "0.1.0 99.0.0", ""),
        ("", "0.1.0", ""),
    ],
)
def test_ranges_mean_what_npm_means_by_them(wanted: str, holds: str, holds_not: str) -> None:
    for text, expected in [*((v, True) for v in holds.split()), *((v, False) for v in holds_not.split())]:
        version = semver.parse(text)
        assert version
        assert semver.satisfies(version, wanted) is expected, text


@given(st.tuples(*[st.integers(0, 30)] * 3))
def test_a_version_is_in_the_ranges_that_name_it(version: tuple[int, int, int]) -> None:
    text = ".".join(map(str, version))
    for operator in ("", "=", "^", "~", ">=", "<="):
        assert semver.satisfies(version, operator + text)
    for operator in ("<", ">"):
        assert not semver.satisfies(version, operator + text)


@pytest.mark.parametrize("wanted", ["lts/hydrogen", "node 18", ">=", "18 & 20"])
def test_what_is_no_range_is_said_to_be_none(wanted: str) -> None:
    with pytest.raises(semver.InvalidRange):
        semver.satisfies((18, 0, 0), wanted)


def test_a_range_without_an_end_gets_the_lts_release() -> None:
    times = {"22.0.0": "2024-04-24T", "24.0.0": "2025-05-06T", "25.0.0": "2025-10-15T", "26.0.0": "2026-05-05T"}
    times |= {"22.9.0": "2026-01-01T", "24.9.0": "2026-06-01T"}
    document = {"versions": {version: {} for version in times}, "time": {"created": "2020-01-01T", **times}}
    assert choose("", document) == choose(">=18", document) == choose("*", document) == (24, 9, 0)
    assert choose("22.x", document) == (22, 9, 0)
    assert choose("26.x", document) == (26, 0, 0)
    assert choose("27", document) is None


SHOWN = """\
Package: python3.13
Version: 3.13.5-2
Files:
 0123456789abcdef0123456789abcdef 1 python3.13_3.13.5.orig.tar.xz
Checksums-Sha256:
 {a} 22 python3.13_3.13.5-2.dsc
 {b} 23 python3.13_3.13.5.orig.tar.xz
 {a} 24 python3.13_3.13.5.orig.tar.xz.asc
Directory: pool/main/p/python3.13

Package: python3.13
Version: 3.13.0~rc1-1
Checksums-Sha256:
 {a} 23 python3.13_3.13.0~rc1.orig.tar.xz
Directory: pool/main/p/python3.13
""".format(a="a" * 64, b="b" * 64)


def test_archives_are_read_out_of_what_apt_shows() -> None:
    [archive] = parse_sources(SHOWN, "http://mirror/debian")
    url = "http://mirror/debian/pool/main/p/python3.13/python3.13_3.13.5.orig.tar.xz"
    assert archive == SourceArchive((3, 13, 5), url, "b" * 64)


def test_the_nearest_patch_release_stands_in_and_never_another_minor() -> None:
    known = [SourceArchive(version_of(text), text, "") for text in ("3.13.18", "3.13.5", "3.13.9", "3.14.1")]

    def order(wanted: str) -> list[str]:
        return [archive.text for archive in nearest(version_of(wanted), known)]

    assert order("3.13.9") == ["3.13.9", "3.13.18", "3.13.5"]
    assert order("3.13.7") == ["3.13.9", "3.13.18", "3.13.5"]
    assert order("3.13.99") == ["3.13.18", "3.13.9", "3.13.5"]
    assert order("3.12.1") == []


def tgz(path: Path, files: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))


def test_node_is_laid_out_as_its_authors_do(tmp_path: Path) -> None:
    tgz(
        tmp_path / "node", {"package/bin/node": b"ELF", "package/package.json": b"{}", "package/include/node/v8.h": b""}
    )
    tgz(tmp_path / "npm", {"package/bin/npm-cli.js": b"#!", "package/package.json": b"{}"})
    repack(tmp_path / "node", tmp_path / "npm", "node-v1.2.3-linux-x64", tmp_path / "out")
    with tarfile.open(tmp_path / "out") as tar:
        modes = {member.name.partition("/")[2]: (member.mode, member.linkname) for member in tar}
    npm = "lib/node_modules/npm"
    assert modes == {
        "bin/node": (0o755, ""),
        "include/node/v8.h": (0o644, ""),
        f"{npm}/bin/npm-cli.js": (0o755, ""),
        f"{npm}/package.json": (0o644, ""),
        "bin/npm": (0o777, f"../{npm}/bin/npm-cli.js"),
        "bin/npx": (0o777, f"../{npm}/bin/npx-cli.js"),
    }


def test_a_package_that_writes_elsewhere_is_refused(tmp_path: Path) -> None:
    tgz(tmp_path / "evil", {"package/../../etc/x": b""})
    with pytest.raises(CannotMake, match="refused"):
        repack(tmp_path / "evil", tmp_path / "evil", "node", tmp_path / "out")


class Bench:
    """A workshop that notes what it was to do, and writes `content`."""

    content = b"made"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    async def run(
        self,
        stack: str,
        script: str,
        *,
        inputs: Mapping[str, Path],
        output: str,
        to: Path,
        env: Mapping[str, str] | None = None,
        seconds: float = 3600,
    ) -> str:
        assert script.startswith("#")
        self.seen.append((stack, output, dict(env or {})))
        to.write_bytes(self.content)
        return ""


LISTED = {
    "python3.13": ("3.13.18", "3.13.5"),
    "ruby3.3": ("3.3.8",),
    "golang-1.24": ("1.24.9", "1.24.4"),
}
GONE = ("3.13.18",)


def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *requests: Request) -> tuple[list[Served | None], Bench]:
    """What the recipes answer, where Debian lists what LISTED says and its mirror lacks what is GONE."""
    content = b"source"

    async def archives(self: DebianSources, package: str) -> list[SourceArchive]:
        digest = hashlib.sha256(content).hexdigest()
        return [SourceArchive(version_of(v), f"http://debian/{v}.tar.xz", digest) for v in LISTED.get(package, ())]

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host.endswith("rubygems.org"):
            raise httpx2.ConnectError("closed network", request=request)
        gone = any(version in str(request.url) for version in GONE)
        return httpx2.Response(404) if gone else httpx2.Response(200, stream=httpx2.ByteStream(content))

    monkeypatch.setattr(DebianSources, "archives", archives)
    bench = Bench()

    async def go() -> list[Served | None]:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:
            supplies = Supplies(http, FileArtefacts(tmp_path / "made"), bench, {}, tmp_path, ("pogo-13", "pogo-12"))
            table: dict[str, Recipe] = {host: recipe for recipe in recipes(supplies) for host in recipe.hosts}
            assert sorted(table) == sorted(hosts())
            return [await table[request.host].answer(request) for request in requests]

    return asyncio.run(go()), bench


def test_python_is_compiled_once_for_the_stack_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/python-3.13.7-ubuntu-22.04-{debian_arch()}.tar.zst"
    served, bench = ask(tmp_path, monkeypatch, *[Request("GET", BUCKET, path)] * 2)
    first = served[0]
    assert first
    assert first.file
    assert first.headers == {"X-Pogo-Version": "3.13.5"}, "3.13.18 is nearer, but the mirror has it not"
    assert first.file.name == f"python-3.13.5-pogo-12-{debian_arch()}.tar.zst"
    assert [(stack, output) for stack, output, _ in bench.seen] == [("pogo-12", "python.tar.zst")]


def test_ruby_is_asked_by_head_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def path(version: str) -> str:
        return f"/heroku-24/{debian_arch()}/ruby-{version}.tgz"

    asked = [Request("HEAD", RUBIES, path(version)) for version in ("3.3.8", "3.3.9", "3.9.0")]
    served, bench = ask(tmp_path, monkeypatch, *asked, Request("GET", RUBIES, path("3.3.9")))
    assert [found.status for found in served[:3] if found] == [200, 404, 404]
    assert served[3]
    assert served[3].headers == {"X-Pogo-Version": "3.3.8"}
    assert [stack for stack, _, _ in bench.seen] == ["pogo-13"]


METADATA = """\
name: bundler
required_ruby_version: !ruby/object:Gem::Requirement
  requirements:
  - - ">="
    - !ruby/object:Gem::Version
      version: 3.0.0
"""


def test_bundler_is_taken_from_a_ruby_that_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made" / "ruby" / f"ruby-3.3.8-pogo-13-{debian_arch()}.tgz"
    made.parent.mkdir(parents=True)
    tgz(made, {"./lib/ruby/gems/3.3.0/specifications/default/bundler-2.5.22.gemspec": b""})
    made.with_name(made.name + ".sha256").write_text(f"- {made.stat().st_size}")
    gem = io.BytesIO()
    with tarfile.open(fileobj=gem, mode="w") as tar:
        member = tarfile.TarInfo("metadata.gz")
        content = gzip.compress(METADATA.encode())
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(Bench, "content", gem.getvalue())
    served, bench = ask(
        tmp_path,
        monkeypatch,
        Request("GET", "index.rubygems.org", "/info/bundler"),
        Request("GET", "rubygems.org", "/gems/bundler-2.5.22.gem"),
        Request("GET", "index.rubygems.org", "/info/rack"),
        Request("HEAD", "index.rubygems.org", "/versions"),
    )
    assert served[0]
    digest = hashlib.sha256(gem.getvalue()).hexdigest()
    assert served[0].body.decode() == f"---\n2.5.22 |checksum:{digest},ruby:>= 3.0.0\n"
    assert served[1]
    assert served[1].file
    assert served[2] is None
    assert served[3]
    assert served[3].body.splitlines()[2].startswith(b"bundler 2.5.22 ")
    assert [(stack, output) for stack, output, _ in bench.seen] == [("pogo-13", "bundler.gem")]
    with pytest.raises(CannotMake, match=r"bundler 2\.6\.0 cannot be made.*2\.5\.22"):
        ask(tmp_path, monkeypatch, Request("GET", "rubygems.org", "/gems/bundler-2.6.0.gem"))


def test_go_tells_its_script_whether_the_source_is_that_of_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(version: str) -> Request:
        return Request("GET", "dl.google.com", f"/go/go{version}.linux-{debian_arch()}.tar.gz")

    _, bench = ask(tmp_path, monkeypatch, request("1.24.9"), request("1.24.11"))
    assert [env for _, _, env in bench.seen] == [
        {"VERSION": "1.24.9", "SAME": "yes"},
        {"VERSION": "1.24.11", "SAME": "no"},
    ]
    with pytest.raises(CannotMake, match=r"Debian has no source of Go 1\.20"):
        ask(tmp_path, monkeypatch, request("1.20.14"))


def test_what_no_recipe_knows_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served, _ = ask(
        tmp_path,
        monkeypatch,
        Request("GET", "nodejs.org", "/en/blog"),
        Request("GET", "dl.google.com", "/linux/chrome/deb/dists/stable/Release"),
        Request("GET", BUCKET, "/python-3.13.7-ubuntu-24.04-amd64.tar.gz"),
        Request("GET", "releases.astral.sh", "/installers/uv/latest/uv-installer.sh"),
    )
    assert served == [None] * 4


def test_node_says_which_setting_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/dist/v22.1.0/node-v22.1.0-linux-{node_arch()}.tar.gz"
    with pytest.raises(CannotMake, match=r"NPM_CONFIG_REGISTRY is not set in build\.env"):
        ask(tmp_path, monkeypatch, Request("GET", "nodejs.org", path))


def test_a_value_of_the_build_environment_takes_a_field_of_the_app(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"engines": {"node": ">=18 <21"}, "name": {"a": 1}}')
    env = {
        "URL": "https://host/for/{package.json:engines.node}/node.tar.gz",
        "MISSING": "x{package.json:engines.npm}{package.json:name}{other.json:a}y",
        "PLAIN": '{"a": {b}} ${HOME}',
    }
    assert filled(env, tmp_path) == {
        "URL": "https://host/for/%3E%3D18%20%3C21/node.tar.gz",
        "MISSING": "xy",
        "PLAIN": '{"a": {b}} ${HOME}',
    }
