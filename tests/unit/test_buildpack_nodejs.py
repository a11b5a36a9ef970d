"""The decisions of the Node.js pack: ranges, checksums, package managers, when node_modules may be kept."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/nodejs/lib"))

from node_pack import commands, dependencies, project, registry, runtime, semver
from node_pack.project import Project
from pack.steps import BuildFailed

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


def write(directory: Path, files: Mapping[str, object]) -> Path:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return directory


CLASSIC = '# yarn lockfile v1\n\nms@2.1.3:\n  resolved "https://registry.yarnpkg.com/ms/-/ms-2.1.3.tgz#00"\n'
BERRY = "__metadata:\n  version: 8\n  cacheKey: 10\n"


def read(directory: Path, files: Mapping[str, object], **env: str) -> Project:
    return project.read(write(directory, {"package.json": {}, **files}), env)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ("npm", "", "")),
        ({"package-lock.json": "{}"}, ("npm", "package-lock.json", "")),
        ({"npm-shrinkwrap.json": "{}"}, ("npm", "npm-shrinkwrap.json", "")),
        ({"yarn.lock": CLASSIC}, ("yarn", "yarn.lock", "1.x")),
        ({"yarn.lock": BERRY}, ("yarn", "yarn.lock", "4.x")),
        ({"yarn.lock": BERRY.replace("8", "6")}, ("yarn", "yarn.lock", "3.x")),
        ({"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, ("pnpm", "pnpm-lock.yaml", "7.x")),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, ("pnpm", "pnpm-lock.yaml", "8.x")),
        ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, ("pnpm", "pnpm-lock.yaml", "10.x")),
        (
            {"pnpm-lock.yaml": "", "package.json": {"packageManager": "pnpm@9.1.2+sha512.aa"}},
            ("pnpm", "pnpm-lock.yaml", "9.1.2"),
        ),
        ({"pnpm-lock.yaml": "", "package.json": {"engines": {"pnpm": "^9"}}}, ("pnpm", "pnpm-lock.yaml", "^9")),
        (
            {"yarn.lock": BERRY, "package.json": {"packageManager": "yarn@4.1.0", "engines": {"yarn": "3"}}},
            ("yarn", "yarn.lock", "4.1.0"),
        ),
        ({"yarn.lock": CLASSIC, "package.json": {"engines": {"yarn": "1.22.x"}}}, ("yarn", "yarn.lock", "1.22.x")),
        ({"package.json": {"packageManager": "yarn@4.1.0"}}, ("npm", "", "")),
    ],
)
def test_the_lock_file_chooses_the_manager(tmp_path: Path, files: dict[str, object], expected: tuple[str, ...]) -> None:
    found = read(tmp_path, files)
    assert (found.manager, found.lock, found.wanted) == expected


@pytest.mark.parametrize(
    ("files", "env", "reason"),
    [
        ({"package.json": "{"}, {}, r"package\.json is not valid"),
        ({"package.json": "[]"}, {}, "not a JSON object"),
        ({"package.json": {"scripts": "x"}}, {}, "scripts is not an object"),
        ({"yarn.lock": "", "package-lock.json": "{}"}, {}, r"Multiple lockfiles found: package-lock\.json, yarn\.lock"),
        ({"npm-shrinkwrap.json": "", "package-lock.json": "{}"}, {}, "Multiple lockfiles"),
        ({"package.json": {"engines": {"npm": "9", "yarn": "1"}}}, {}, "Multiple package managers"),
        ({"package.json": {"packageManager": "pnpm@9.0.0", "engines": {"yarn": "1"}}}, {}, "Multiple package managers"),
        ({"pnpm-lock.yaml": "", "package.json": {"packageManager": "pnpm"}}, {}, "has no version"),
        ({"yarn.lock": BERRY}, {"YARN_PRODUCTION": "true"}, "does not know YARN_PRODUCTION"),
        ({"yarn.lock": BERRY, ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-3.cjs\n"}, {}, "that file is not there"),
        ({"yarn.lock": BERRY, "package.json": {"engines": {"yarn": "1.x"}}}, {}, "has no yarnPath"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, files: dict[str, object], env: dict[str, str], reason: str) -> None:
    with pytest.raises(BuildFailed, match=reason):
        read(tmp_path, files, **env)


def test_what_yarn_2_and_later_is_told_by_its_settings(tmp_path: Path) -> None:
    found = read(tmp_path, {"yarn.lock": BERRY})
    assert (found.berry, found.plug_n_play, found.zero_install) == (True, True, False)
    found = read(tmp_path, {".yarnrc.yml": "nodeLinker: node-modules # for now\n", ".yarn/cache/x.zip": ""})
    assert (found.plug_n_play, found.zero_install) == (False, True)
    release = {".yarnrc.yml": 'yarnPath: ".yarn/releases/yarn-3.8.7.cjs"\n', ".yarn/releases/yarn-3.8.7.cjs": ""}
    found = read(tmp_path, release)
    assert (found.wanted, found.vendored) == ("1.x", "3.8.7")


@pytest.mark.parametrize(
    ("kind", "files", "env", "expected"),
    [
        ("10.0.0", {"package-lock.json": "{}"}, {}, "npm ci --include=dev"),
        ("10.0.0", {"package-lock.json": "{}"}, {"USE_NPM_INSTALL": "true"}, "npm install --include=dev"),
        ("10.0.0", {"package-lock.json": "{}"}, {"NPM_CONFIG_PRODUCTION": "true"}, "npm ci --omit=dev"),
        ("10.0.0", {}, {}, "npm install --include=dev"),
        ("6.14.1", {"package-lock.json": "{}"}, {}, "npm ci --production=false"),
        ("5.3.0", {"package-lock.json": "{}"}, {}, "npm install --production=false"),
        ("1.22.1", {"yarn.lock": CLASSIC}, {}, "yarn install --production=false --frozen-lockfile"),
        ("1.22.1", {"yarn.lock": CLASSIC}, {"YARN_PRODUCTION": "true"}, "yarn install --production=true"),
        ("4.1.0", {"yarn.lock": BERRY}, {}, "yarn install --immutable"),
        ("10.1.0", {"pnpm-lock.yaml": ""}, {}, "pnpm install --prod=false --frozen-lockfile"),
    ],
)
def test_how_each_manager_installs(
    tmp_path: Path, kind: str, files: dict[str, object], env: dict[str, str], expected: str
) -> None:
    version = semver.parse_version(kind)
    assert version
    command = commands.install_command(read(tmp_path, files), version, env, False)
    assert " ".join(command).startswith(expected)


@pytest.mark.parametrize(
    ("kind", "files", "env", "expected"),
    [
        ("10.0.0", {}, {}, "npm prune --omit=dev --ignore-scripts"),
        ("6.0.0", {}, {}, "npm prune --production --ignore-scripts"),
        ("10.0.0", {}, {"NPM_CONFIG_PRODUCTION": "false"}, ""),
        ("10.0.0", {}, {"NODE_ENV": "staging"}, ""),
        ("1.22.1", {"yarn.lock": CLASSIC}, {}, "yarn install --production=true"),
        ("1.22.1", {"yarn.lock": CLASSIC}, {"YARN_PRODUCTION": "false"}, ""),
        ("4.1.0", {"yarn.lock": BERRY}, {}, "yarn workspaces focus --all --production"),
        ("3.8.0", {"yarn.lock": BERRY}, {}, ""),
        (
            "3.8.0",
            {"yarn.lock": BERRY, ".yarnrc.yml": "- .yarn/plugin-workspace-tools.cjs"},
            {},
            "yarn workspaces focus",
        ),
        ("4.1.0", {"yarn.lock": BERRY}, {"YARN2_SKIP_PRUNING": "true"}, ""),
        ("10.0.0", {"pnpm-lock.yaml": ""}, {}, "pnpm prune --prod --ignore-scripts"),
        ("8.0.0", {"pnpm-lock.yaml": ""}, {}, "pnpm prune --prod"),
        ("10.0.0", {"pnpm-lock.yaml": ""}, {"PNPM_SKIP_PRUNING": "true"}, ""),
        ("10.0.0", {"pnpm-lock.yaml": "", "pnpm-workspace.yaml": "packages:\n  - a\n"}, {}, "pnpm install --prod"),
    ],
)
def test_how_each_manager_prunes(
    tmp_path: Path, kind: str, files: dict[str, object], env: dict[str, str], expected: str
) -> None:
    version = semver.parse_version(kind)
    assert version
    app = read(tmp_path, files)
    settings = {"NODE_ENV": "production", **env}
    command = [] if commands.keeps_development(app, settings) else commands.prune_command(app, version, [])
    assert " ".join(command).startswith(expected) and bool(command) == bool(expected)


def test_pnpm_does_not_prune_where_it_would_run_scripts_again(tmp_path: Path) -> None:
    app = read(tmp_path, {"pnpm-lock.yaml": "", "package.json": {"scripts": {"postinstall": "x"}}})
    assert commands.prune_command(app, (8, 0, 0), [tmp_path / "package.json"]) == []
    assert commands.prune_command(app, (9, 0, 0), [tmp_path / "package.json"]) != []


def test_the_registry_of_the_build_takes_the_place_of_those_in_a_yarn_1_lock(tmp_path: Path) -> None:
    app = read(tmp_path, {"yarn.lock": CLASSIC})
    with commands.LockOfYarn1(app, {"NPM_CONFIG_REGISTRY": "https://npm.example/"}):
        assert 'resolved "https://npm.example/ms/-/ms' in (tmp_path / "yarn.lock").read_text()
    assert (tmp_path / "yarn.lock").read_text() == CLASSIC
    with commands.LockOfYarn1(app, {}):
        assert (tmp_path / "yarn.lock").read_text() == CLASSIC


def test_packages_are_kept_only_where_the_lock_file_decides_alone(tmp_path: Path) -> None:
    def key(package: dict[str, object], lock: str = '{"packages": {}}', **env: str) -> str | None:
        app = read(tmp_path, {"package.json": package, "package-lock.json": lock}, **env)
        return dependencies.key(app, ("24.0.0", "11.0.0", ""), {"STACK": "heroku-24", **env})

    plain = key({})
    assert plain is not None
    assert key({"scripts": {"build": "x"}}) == plain
    assert key({"dependencies": {"a": "1"}}) not in (plain, None)
    assert key({}, NODE_ENV="test") not in (plain, None)
    for package in (
        {"scripts": {"postinstall": "x"}},
        {"dependencies": {"a": "file:./a"}},
        {"devDependencies": {"a": "../a"}},
        {"dependenciesMeta": {"a": {"injected": True}}},
    ):
        assert key(package) is None, package
    assert key({}, '{"packages": {"a": {"resolved": "file:a"}}}') is None
    write(tmp_path, {".npmrc": "save-exact=true\n"})
    assert key({}) not in (plain, None)
    write(tmp_path, {"node_modules/a/package.json": {}})
    assert key({}) is None


def test_workspaces_take_part_in_the_key(tmp_path: Path) -> None:
    def key(other: dict[str, object]) -> str | None:
        files = {"package.json": {"workspaces": ["lib/*"]}, "package-lock.json": "{}", "lib/a/package.json": other}
        return dependencies.key(read(tmp_path, files), ("24.0.0", "11.0.0", ""), {})

    plain = key({"name": "a"})
    assert plain is not None
    assert key({"name": "a", "dependencies": {"ms": "2"}}) not in (plain, None)
    assert key({"name": "a", "scripts": {"prepare": "x"}}) is None


def test_directories_to_keep_lie_inside_of_the_app(tmp_path: Path) -> None:
    named = {"cacheDirectories": [".next/cache", "node_modules", "../x", "/etc", "node_modules/.vite", "."]}
    assert dependencies.named_directories(read(tmp_path, {"package.json": named})) == [
        ".next/cache",
        "node_modules/.vite",
        "bower_components",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a: b\n", "b"), ("a: 'b' # c\n", "b"), ("x: 1\n", ""), ("a:\n  - b\n", "[]"), ("  a: b\n", ""), ('a: "7"', "7")],
)
def test_plain_values_of_yaml(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "x.yml").write_text(text)
    assert project.yaml_value(tmp_path / "x.yml", "a") == expected


def test_the_programs_of_a_package_are_those_that_can_be_started(tmp_path: Path) -> None:
    write(
        tmp_path, {"package.json": {"bin": {"pnpm": "pnpm", "pn": "pn", "pnpx": "./bin/x"}}, "pn": "# a shell script"}
    )
    (tmp_path / "pnpm").write_bytes(b"\x7fELF\x02")
    write(tmp_path, {"bin/x": "#!/usr/bin/env node\n"})
    assert runtime.commands_of(tmp_path) == {"pnpm": "pnpm", "pnpx": "bin/x"}
