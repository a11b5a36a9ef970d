"""The decisions of the static pack: static.json to nginx.conf."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "buildpacks/static/lib"))

from static_pack import nginx, settings
from static_pack.settings import InvalidSettings, Settings


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("/**", "/a/b", True),
        ("/assets/*", "/assets/a.css", True),
        ("/assets/*", "/assets/a/b.css", False),
        ("assets/**", "/assets/a/b.css", True),
        ("/a.b", "/axb", False),
        ("/*.html", "/x.html", True),
    ],
)
def test_path_patterns(glob: str, path: str, expected: bool) -> None:
    expression = nginx.pattern(glob)[1:-1].replace("\\\\", "\\").replace('\\"', '"')
    assert bool(re.match(expression, path)) is expected


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_a_quoted_text_cannot_leave_its_quotes(text: str) -> None:
    inside = nginx.quote(text)[1:-1]
    assert re.fullmatch(r'(?:[^"\\]|\\["\\])*', inside)
    assert inside.replace("${dollar}", "\0").replace('\\"', '"').replace("\\\\", "\\").count("$") == 0


def test_the_usual_places_of_pages(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"no index\.html"):
        settings.load(tmp_path)
    (tmp_path / "index.html").touch()
    assert settings.load(tmp_path).root == "."
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/index.html").touch()
    (tmp_path / "dist/404.html").touch()
    assert settings.load(tmp_path) == Settings(root="dist", error_page="404.html")


@pytest.mark.parametrize(
    "given",
    [
        "{",
        "[]",
        {"root": "../x"},
        {"root": "nowhere"},
        {"rout": {}},
        {"clean_urls": "yes"},
        {"routes": {"/a": 1}},
        {"redirects": {"/a": {"status": 302}}},
        {"redirects": {"/a": {"url": "/b", "status": 200}}},
        {"headers": {"/a": "x"}},
        {"headers": {"/a": {"X": "a\nb"}}},
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, given: object) -> None:
    (tmp_path / "index.html").touch()
    (tmp_path / "static.json").write_text(given if isinstance(given, str) else json.dumps(given))
    with pytest.raises(InvalidSettings, match=r"static\.json"):
        settings.load(tmp_path)


def test_everything_that_is_asked_for_is_in_the_configuration() -> None:
    text = nginx.config(
        Settings(
            root="dist",
            clean_urls=True,
            https_only=True,
            error_page="404.html",
            routes={"/app/**": "app.html"},
            redirects={"/old": settings.Redirect("/new", 302)},
            headers={"/**": {"X-A": "1"}, "/b": {"X-A": "$2"}},
        )
    )
    for part in (
        'root "/app/dist";',
        "$uri.html",
        "return 301 https://$host$request_uri",
        'error_page 403 404 =404 "/404.html"',
        'location = "/old" { return 302 "/new"; }',
        'location ~ "^/app/.*$" { try_files $uri $uri.html $uri/index.html "/app.html" =404; }',
        '"${dollar}2"',
        'add_header "X-A" $header_0 always;',
    ):
        assert part in text
