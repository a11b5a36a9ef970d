"""Heroku's own buildpacks, unmodified: fetched by their git URLs and built through the mirror of a whole platform."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import official_packs
import pytest
from containers_lxc import missing
from installation import Installation, reserve
from official_packs import SAMPLES

from pogo.settings import Settings
from ports import free_ports

BUILD_ENV = """\
NODE_BINARY_URL=https://nodejs.org/download/for/{package.json:engines.node}/node-linux-x64.tar.gz
CURL_TIMEOUT=900
"""


@pytest.fixture(scope="module")
def packs() -> Iterator[tuple[Path, list[str]]]:
    """A folder that the platform's user may read, and the packs in it."""
    source = official_packs.folder()
    if source is None:
        pytest.skip("POGO_TEST_PACKS names no folder with copies of the official buildpacks")
    with tempfile.TemporaryDirectory(prefix="pogo-packs-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        yield folder, official_packs.serve_from(source, folder)


@pytest.fixture(scope="module")
def platform(packs: tuple[Path, list[str]]) -> Iterator[Installation]:
    if reason := missing():
        pytest.skip(reason)
    found = reserve()
    [port] = free_ports(1)
    try:
        found.up(POGO_MIRROR="answer", POGO_MIRROR_PORT=str(port), POGO_MIRROR_GIT=str(packs[0]), POGO_MIRROR_ONLY="1")
        with (found.state / "build.env").open("a") as file:
            file.write(BUILD_ENV)
        yield found
    finally:
        found.remove()


@pytest.mark.parametrize("name", SAMPLES)
def test_an_app_is_built_twice_and_answers(
    name: str,
    packs: tuple[Path, list[str]],
    platform: Installation,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    if name not in packs[1]:
        pytest.skip(f"POGO_TEST_PACKS has no heroku-buildpack-{name}")
    sample = SAMPLES[name]
    pattern, tool = sample.needs
    if pattern and not list(Settings().artefacts_dir.glob(pattern)):
        pytest.skip(f"takes minutes to make: run `pogo mirror:prefetch {tool}` once")
    for path, text in sample.files.items():
        file = tmp_path / "source" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if path.startswith("bin/") else 0o644)
    app = f"with-{name}"
    work = platform.create(tmp_path / "source", app)
    url = f"https://github.com/heroku/heroku-buildpack-{name}"
    platform.pogo("buildpacks:set", url, "--app", app)
    for key, value in sample.config.items():
        platform.pogo("config:set", f"{key}={value}", "--app", app)
    for ordinal in ("first", "second"):
        (work / "changed").write_text(ordinal)
        platform.commit(work, ordinal)
        started = time.monotonic()
        said = platform.push(work)
        record_property(f"{name}_{ordinal}_push_s", round(time.monotonic() - started, 1))
        print(f"{name}: {ordinal} push {time.monotonic() - started:.1f} s")
        assert f"Using buildpack: {url}" in said
        answer = platform.get(app)
        assert (answer.status, answer.body) == (200, sample.answer), said
    platform.pogo("apps:destroy", app, "--confirm", app)


def test_the_log_tells_where_builds_went(platform: Installation) -> None:
    assert "github.com" in platform.pogo("mirror:log")
