from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import app_json
from pogo.rules.app_json import InvalidManifest, Manifest, Variable, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["name", "buildpacks", "env", "formation", "scripts", "addons", "stack", "success_url"])


def read(**given: Any) -> Manifest:
    return parse(json.dumps(given).encode())


def test_everything_that_it_may_say() -> None:
    found = read(
        name="shop",
        stack="heroku-24",
        buildpacks=[{"url": "heroku/nodejs"}, {"url": "https://x/y#z"}],
        env={"A": "1", "B": {"value": 5}, "C": {"required": False}, "D": {"generator": "secret"}, "E": {}},
        formation={"web": {"quantity": 2, "size": "Standard-1X"}, "worker": {}},
        addons=["heroku-postgresql", {"plan": "papertrail:choklad"}],
        scripts={"postdeploy": {"command": "bin/setup", "size": "basic"}},
        success_url="/welcome",
        environments={"test": {}},
    )
    assert found.buildpacks == ("heroku/nodejs", "https://x/y#z")
    assert found.env["B"] == Variable("5") and found.env["C"].required is False
    assert found.formation == {"web": {"quantity": 2, "size": "Standard-1X"}, "worker": {"quantity": 1}}
    assert (found.addons, found.postdeploy) == (("heroku-postgresql", "papertrail:choklad"), "bin/setup")
    assert (found.missing([]), found.unset(["A"])) == (["E"], ["B", "D", "E"])
    assert found.config({"E": "e", "A": "2"}, lambda: "made") == {"A": "2", "B": "5", "D": "made", "E": "e"}
    with pytest.raises(InvalidManifest) as caught:
        found.config({}, lambda: "made")
    assert caught.value.errors == ["config var E is required"]


def test_its_first_form() -> None:
    assert read(formation=[{"process": "web", "quantity": 1}], scripts={"postdeploy": "x"}).formation == {
        "web": {"quantity": 1}
    }
    assert parse(b"{}") == Manifest()


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(InvalidManifest) as caught:
        read(env={"A": 5}, buildpacks=["", {"uri": "x"}], formation={"web": {"quantity": -1}}, addons="x", name=1)
    assert caught.value.errors == [
        "`name` must be a string",
        "`buildpacks[0].url` must be a string",
        "`buildpacks[1].url` must be a string",
        "`env.A` must be a string or an object",
        "`formation.web.quantity` must be a number",
        "`addons` must be an array",
    ]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b" " * (app_json.LARGEST + 1)])
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(InvalidManifest, match=r"app\.json is"):
        parse(data)


@given(st.dictionaries(KEYS, JSON))
def test_anything_is_read_or_refused(given: dict[str, Any]) -> None:
    try:
        found = read(**given)
        found.config({}, lambda: "x")
    except InvalidManifest as invalid:
        told = invalid.errors
    else:
        return
    assert told
