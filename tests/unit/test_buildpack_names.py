from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import buildpacks
from pogo.rules.buildpacks import Archive, Bundled, Git, UnknownBuildpack

BLOB = "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz"


@pytest.mark.parametrize(
    "given", ["heroku/python", "urn:buildpack:heroku/python", BLOB, " heroku/python\n", "pogo/python"]
)
def test_every_way_to_say_python_is_our_own_pack(given: str) -> None:
    assert buildpacks.resolve(given) == Bundled("python")


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("https://github.com/x/y", Git("https://github.com/x/y")),
        ("https://github.com/x/y.git#v1.2", Git("https://github.com/x/y.git", "v1.2")),
        ("git@example.com:x/y.git#main", Git("git@example.com:x/y.git", "main")),
        ("file:///srv/packs/y", Git("file:///srv/packs/y")),
        ("https://example.com/p.tgz", Archive("https://example.com/p.tgz")),
        ("https://example.com/p.tar.gz?sig=1", Archive("https://example.com/p.tar.gz?sig=1")),
        ("heroku/ruby", Git("https://github.com/heroku/heroku-buildpack-ruby")),
        ("heroku-buildpack-static", Bundled("static")),
    ],
)
def test_sources(given: str, source: buildpacks.Source) -> None:
    assert buildpacks.resolve(given) == source


@pytest.mark.parametrize(
    "given", ["", "python", "nobody/nothing", "ext::sh -c id", "https://x/y#--upload-pack=z", "/etc"]
)
def test_what_means_nothing_is_refused(given: str) -> None:
    with pytest.raises(UnknownBuildpack):
        buildpacks.resolve(given)


@given(st.text())
def test_any_text_is_resolved_or_refused(given: str) -> None:
    try:
        source = buildpacks.resolve(given)
    except UnknownBuildpack:
        return
    assert not isinstance(source, Git) or not source.ref.startswith("-")


def test_the_api_shows_names_as_urns_and_addresses_as_they_are() -> None:
    assert buildpacks.stored_url(BLOB) == "urn:buildpack:heroku/python"
    assert buildpacks.display_name("urn:buildpack:heroku/python") == "heroku/python"
    assert buildpacks.stored_url("https://github.com/x/y#z") == "https://github.com/x/y#z"


def test_what_is_stored_means_the_same_pack() -> None:
    for name in ["heroku/nodejs", "heroku/ruby", "https://github.com/x/y#z"]:
        assert buildpacks.resolve(buildpacks.stored_url(name)) == buildpacks.resolve(name)


def test_detection_tries_our_packs_in_herokus_order() -> None:
    assert buildpacks.detection_candidates() == ["heroku/nodejs", "heroku/python", "heroku/static"]
