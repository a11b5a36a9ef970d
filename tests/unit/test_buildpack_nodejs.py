"""The decisions of the Node.js pack: version ranges, checksums, when node_modules may be kept."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/nodejs/lib"))

from node_pack import dependencies, registry, semver

PUBLISHED = [
    "16.20.2",
    "18.0.0",
    "18.20.8",
    "20.0.0",
    "20.11.1",
    "22.14.0",
    "24.0.0",
    "24.21.0",
    "26.0.0-rc.1",
    "0.12.18",
]
VERSIONS = st.tuples(*[st.integers(0, 30)] * 3)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("24.x", "24.21.0"),
        ("24", "24.21.0"),
        ("18.20.8", "18.20.8"),
        ("v20.11.1", "20.11.1"),
        ("=20.0.0", "20.0.0"),
        ("^18", "18.20.8"),
        ("^18.1", "18.20.8"),
        ("^0.12.0", "0.12.18"),
        ("~20.11", "20.11.1"),
        ("~20", "20.11.1"),
        (">=18", "24.21.0"),
        (">= 18.0.0 < 20", "18.20.8"),
        (">18 <22", "20.11.1"),
        ("<=20", "20.11.1"),
        ("<20", "18.20.8"),
        ("16 || 18 || 20", "20.11.1"),
        ("16 - 20", "20.11.1"),
        ("16.20.2 - 18.0.0", "18.0.0"),
        ("*", "24.21.0"),
        ("", "24.21.0"),
        ("x", "24.21.0"),
        ("26.x", None),
        ("^19", None),
        (">=20 <18", None),
        ("^22.22.2 || ^24.15.0 || >=26.0.0", "24.21.0"),
    ],
)
def test_ranges(wanted: str, expected: str | None) -> None:
    assert semver.newest(PUBLISHED, wanted) == expected


@pytest.mark.parametrize("wanted", ["lts", "18.a", "1.2.3.4", ">", "node 18", "18 |19"])
def test_what_is_no_range_is_refused(wanted: str) -> None:
    with pytest.raises(semver.InvalidRange):
        semver.newest(PUBLISHED, wanted)


@given(VERSIONS, VERSIONS)
def test_comparators_agree_with_the_order_of_versions(one: semver.Version, other: semver.Version) -> None:
    text = ".".join(map(str, other))
    assert semver.satisfies(one, f">={text}") == (one >= other)
    assert semver.satisfies(one, f">{text}") == (one > other)
    assert semver.satisfies(one, f"<{text}") == (one < other)
    assert semver.satisfies(one, f"<={text}") == (one <= other)
    assert semver.satisfies(one, text) == (one == other)
    assert semver.satisfies(one, f"~{text}") == (one >= other and one[:2] == other[:2])
    assert not semver.satisfies(one, f"^{text}") or one >= other
    if other[0]:
        assert semver.satisfies(one, f"^{text}") == (one >= other and one[0] == other[0])


def test_a_file_is_trusted_by_its_strongest_digest_only(tmp_path: Path) -> None:
    file = tmp_path / "x.tgz"
    file.write_bytes(b"content")

    def integrity(algorithm: str, content: bytes) -> str:
        return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"

    assert registry.verify(file, integrity("sha512", b"content"))
    assert registry.verify(file, f"sha1-x {integrity('sha512', b'content')}?opt")
    assert not registry.verify(file, integrity("sha512", b"other"))
    assert not registry.verify(file, f"{integrity('sha256', b'content')} {integrity('sha512', b'other')}")
    assert not registry.verify(file, "sha1-abc")
    assert not registry.verify(file, "")


def test_node_modules_are_kept_only_where_the_lock_file_decides_alone(tmp_path: Path) -> None:
    def key(manifest: dict[str, object]) -> str | None:
        return dependencies.key(tmp_path, manifest, ("24.0.0", "11.0.0"), "heroku-24")

    assert key({}) is None
    (tmp_path / "package-lock.json").write_text('{"packages": {}}')
    assert key({"scripts": {"build": "x"}}) == key({})
    assert key({}) is not None
    assert key({"dependencies": {"a": "1"}}) != key({})
    assert key({"scripts": {"postinstall": "x"}}) is None
    assert key({"workspaces": ["a"]}) is None
    (tmp_path / "package-lock.json").write_text('{"packages": {"a": {"resolved": "file:a", "link": true}}}')
    assert key({}) is None
