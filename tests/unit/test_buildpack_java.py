"""The decisions of the Java pack: which Java, which class or jar is started, the heap, the key store."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/java/lib"))

from java_pack import runtime, sources, tools, version
from pack.steps import BuildFailed

PROFILE = Path(runtime.__file__).with_name("profile.sh")


@pytest.fixture
def trixie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    monkeypatch.setattr(version, "OS_RELEASE", tmp_path / "os-release")


@pytest.mark.usefixtures("trixie")
@pytest.mark.parametrize(
    ("given", "expected"),
    [("", 21), ("21", 21), ("25", 25), ("21.0.4", 21), ("openjdk-25", 25), ("zulu-21.0.2", 21), ("25-ea", 25)],
)
def test_the_java_that_an_app_gets(given: str, expected: int) -> None:
    assert version.choose(given) == expected


@pytest.mark.usefixtures("trixie")
@pytest.mark.parametrize("given", ["17", "1.8", "latest"])
def test_a_java_that_the_stack_does_not_have(given: str) -> None:
    with pytest.raises(BuildFailed, match=r"system\.properties"):
        version.choose(given)


def test_system_properties(tmp_path: Path) -> None:
    assert version.properties(tmp_path) == {}
    (tmp_path / "system.properties").write_text("# java.runtime.version=8\njava.runtime.version = 21\nmain.class:a.B\n")
    assert version.properties(tmp_path) == {"java.runtime.version": "21", "main.class": "a.B"}


def test_the_class_with_main(tmp_path: Path) -> None:
    place = tmp_path / "src/main/java/a"
    place.mkdir(parents=True)
    (tmp_path / "src/test").mkdir()
    (tmp_path / "src/test/T.java").write_text("class T { public static void main(String[] a) {} }")
    (place / "B.java").write_text("package a;\npublic class B {\n  public static void main(String... a) {}\n}\n")
    (place / "C.java").write_text('class C { // public static void main(\n String s = "public static void main("; }')
    found = sources.find(tmp_path)
    assert [path.name for path in found] == ["B.java", "C.java"]
    assert sources.main_class(found, "") == "a.B"
    (place / "D.java").write_text("package a; class D { static public void main(String[] a) {} }")
    found = sources.find(tmp_path)
    assert sources.main_class(found, "a.D") == "a.D"
    for named in ("", "a.X"):
        with pytest.raises(BuildFailed, match=r"main\.class"):
            sources.main_class(found, named)


def jar(path: Path, attributes: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(
            "META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\n{attributes}\r\n\r\nName: x\r\nMain-Class: no\r\n"
        )


def test_the_executable_jar(tmp_path: Path) -> None:
    assert tools.executable(tmp_path) is None
    (tmp_path / "broken.jar").write_text("no jar")
    jar(tmp_path / "library.jar", "Created-By: x")
    assert tools.executable(tmp_path) is None
    jar(tmp_path / "target/app.jar", "Main-Class: a.very.long.na\r\n me.Main\r\nSpring-Boot-Version: 3.4")
    jar(tmp_path / "target/app-sources.jar", "Main-Class: a.B")
    assert tools.executable(tmp_path) == tools.Jar("target/app.jar", spring=True)
    assert tools.manifest(tmp_path / "target/app.jar")["Main-Class"] == "a.very.long.name.Main"
    jar(tmp_path / "target/second.jar", "Main-Class: a.B")
    with pytest.raises(BuildFailed, match=r"target/app\.jar, target/second\.jar"):
        tools.executable(tmp_path)


@pytest.mark.parametrize(
    ("said", "host"),
    [
        (
            "Could not transfer artifact a:b:pom:1 from/to central (https://repo.maven.apache.org/maven2): x",
            "Maven Central",
        ),
        ("Exception in thread main java.net.UnknownHostException: services.gradle.org", "services.gradle.org"),
        ("> Could not GET 'https://plugins.gradle.org/m2/x.pom'.", "plugins.gradle.org"),
        ("[ERROR] COMPILATION ERROR", "its reason is above"),
    ],
)
def test_a_repository_out_of_reach_is_named(said: str, host: str) -> None:
    assert host in str(tools._failure(said.encode(), "Maven"))


def profile(**environment: str) -> dict[str, str]:
    script = f". {PROFILE}; env"
    done = subprocess.run(
        ["bash", "-c", script], env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.decode().splitlines() if "=" in line)


def test_what_every_process_of_the_app_gets() -> None:
    found = profile(
        JAVA_TOOL_OPTIONS="-Xmx99m", DATABASE_URL="postgres://ann:p%40w@db.example:5432/shop?sslmode=require"
    )
    assert found["JAVA_TOOL_OPTIONS"].startswith("-Xmx")
    assert found["JAVA_TOOL_OPTIONS"].endswith("-Dfile.encoding=UTF-8 -Xmx99m")
    expected = "jdbc:postgresql://db.example:5432/shop?sslmode=require&user=ann&password=p%40w"
    assert found["JDBC_DATABASE_URL"] == found["SPRING_DATASOURCE_URL"] == expected
    assert found["SPRING_DATASOURCE_PASSWORD"] == "p@w"
    assert not [name for name in found if name.startswith("_java")]
    assert "JDBC_DATABASE_URL" not in profile(DATABASE_URL="sqlite:///x")


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_a_key_store_of_the_stacks_authorities(tmp_path: Path) -> None:
    key, file = tmp_path / "key", tmp_path / "pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    subprocess.run([*command, "-keyout", str(key), "-out", str(file)], check=True, capture_output=True)
    pem = file.read_text()
    store = runtime.key_store(f"# two\n{pem}{pem}")
    assert store[:12] == bytes.fromhex("feedfeed 00000002 00000002")
    assert store.count(ssl.PEM_cert_to_DER_cert(pem)) == 2
    assert len(runtime.key_store("")) == 12 + 20
