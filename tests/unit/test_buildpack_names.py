from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import buildpacks
from pogo.rules.buildpacks import BUILT_IN, FIRST_PARTY, Archive, Bundled, Git, Registry, UnknownBuildpack

BLOB = "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz"


@pytest.mark.parametrize(
    "given", ["heroku/python", "urn:buildpack:heroku/python", BLOB, " heroku/python\n", "pogo/python"]
)
def test_every_way_to_say_python_is_our_own_pack(given: str) -> None:
    assert BUILT_IN.resolve(given) == Bundled("python")


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("https://github.com/x/y", Git("https://github.com/x/y")),
        ("https://github.com/x/y.git#v1.2", Git("https://github.com/x/y.git", "v1.2")),
        ("git@example.com:x/y.git#main", Git("git@example.com:x/y.git", "main")),
        ("file:///srv/packs/y", Git("file:///srv/packs/y")),
        ("https://example.com/p.tgz", Archive("https://example.com/p.tgz")),
        ("https://example.com/p.tar.gz?sig=1", Archive("https://example.com/p.tar.gz?sig=1")),
        ("heroku/scala", Git("https://github.com/heroku/heroku-buildpack-scala")),
        ("heroku-community/multi-procfile", Git("https://github.com/heroku/heroku-buildpack-multi-procfile")),
        ("heroku-buildpack-static", Bundled("static")),
    ],
)
def test_sources(given: str, source: buildpacks.Source) -> None:
    assert BUILT_IN.resolve(given) == source


@pytest.mark.parametrize(
    "given", ["", "python", "nobody/nothing", "ext::sh -c id", "https://x/y#--upload-pack=z", "/etc"]
)
def test_what_means_nothing_is_refused(given: str) -> None:
    with pytest.raises(UnknownBuildpack):
        BUILT_IN.resolve(given)


@given(st.text())
def test_any_text_is_resolved_or_refused(given: str) -> None:
    try:
        source = BUILT_IN.resolve(given)
    except UnknownBuildpack:
        return
    assert not isinstance(source, Git) or not source.ref.startswith("-")


def test_the_api_shows_names_as_urns_and_addresses_as_they_are() -> None:
    assert buildpacks.stored_url(BLOB) == "urn:buildpack:heroku/python"
    assert buildpacks.display_name("urn:buildpack:heroku/python") == "heroku/python"
    assert buildpacks.stored_url("https://github.com/x/y#z") == "https://github.com/x/y#z"


def test_what_is_stored_means_the_same_pack() -> None:
    for name in ["heroku/nodejs", "heroku/scala", "https://github.com/x/y#z"]:
        assert BUILT_IN.resolve(buildpacks.stored_url(name)) == BUILT_IN.resolve(name)


def test_detection_tries_our_packs_and_the_operators_in_herokus_order() -> None:
    ours = BUILT_IN.detection_candidates()
    assert set(ours) == {f"heroku/{name}" for name in FIRST_PARTY if name in buildpacks.DETECTION_ORDER}
    assert ours.index("heroku/nodejs") < ours.index("heroku/python") < ours.index("heroku/static")
    mine = Registry({"heroku/clojure": "https://example.com/c.git", "acme/x": "https://example.com/x.git"})
    assert set(mine.detection_candidates()) - set(ours) == {"heroku/clojure"}


def test_the_operators_names_go_before_the_built_in_ones() -> None:
    mine = Registry({"heroku/python": "https://example.com/py.git#v2", "acme/tool": "https://example.com/t.tgz"})
    assert mine.resolve("urn:buildpack:heroku/python") == Git("https://example.com/py.git", "v2")
    assert mine.resolve("acme/tool") == Archive("https://example.com/t.tgz")
    assert mine.resolve("heroku/nodejs") == Bundled("nodejs")
    assert "acme/tool" in mine.known() and mine.known()["heroku/nodejs"] == "bundled:nodejs"


def test_a_name_means_one_thing() -> None:
    """What is ours is not also an official pack; that one is reached by its URL."""
    assert not {f"heroku/{name}" for name in FIRST_PARTY} & set(buildpacks.REGISTRY)
    official = "https://github.com/heroku/heroku-buildpack-python"
    assert BUILT_IN.resolve(official) == Git(official)


def test_the_longest_prefix_of_a_mirror_decides() -> None:
    mirrors = {"https://x/": "http://m/x/", "https://x/a/": "http://m/a-", "https://x/a/b.tgz": "http://m/b.tgz"}
    registry = Registry(mirrors=mirrors)
    assert registry.mirrored("https://x/c/d") == "http://m/x/c/d"
    assert registry.mirrored("https://x/a/d") == "http://m/a-d"
    assert registry.mirrored("https://y/a") == "https://y/a"
    assert registry.mirrored("https://x/a/b.tgz") == "http://m/b.tgz"
    assert registry.resolve("https://x/a/b.tgz") == Archive("https://x/a/b.tgz"), "the fetcher's matter"


@pytest.mark.parametrize("name", ["", "x", "a/b/c", "a b/c", "a/b.c", "a/" + "b" * 100])
def test_names_that_cannot_be_registered(name: str) -> None:
    with pytest.raises(UnknownBuildpack):
        buildpacks.check_name(name)
