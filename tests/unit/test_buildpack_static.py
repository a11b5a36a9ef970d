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

from static_pack import nginx, serve, settings
from static_pack.nginx import Start
from static_pack.settings import InvalidSettings, Redirect, Settings


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
    (tmp_path / "public_html").mkdir()
    (tmp_path / "public_html/index.html").touch()
    assert settings.load(tmp_path).root == "public_html"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("{", "static.json is not valid"),
        ("[]", "not a JSON object"),
        ({"root": "../x"}, "root: '../x'"),
        ({"root": "nowhere"}, "root"),
        ({"root": 5}, "root: 5"),
        ({"clean_urls": "yes"}, "clean_urls: it has to be true or false, not 'yes'"),
        ({"https_only": 1}, "https_only"),
        ({"routes": []}, "routes: it has to be an object"),
        ({"routes": {"/a": 1}}, "routes: /a: 1"),
        ({"redirects": {"/a": {"status": 302}}}, "redirects: /a"),
        ({"redirects": {"/a": {"url": "/b", "status": 200}}}, "redirects: /a: status: 200"),
        ({"headers": {"/a": "x"}}, "headers: /a"),
        ({"headers": {"/a": {"X": "a\nb"}}}, "headers: /a: X"),
        ({"headers": {"/a": {"X y": "a"}}}, "headers: /a: 'X y'"),
        ({"proxies": {"/a/": "http://x"}}, "proxies: /a/"),
        ({"proxies": {"/a/": {"origin": "ftp://x"}}}, "proxies: /a/: origin"),
        ({"proxies": {"/a/": {"origin": "http://x/;return"}}}, "proxies: /a/: origin"),
        ({"proxies": {"/a/": {"origin": "http://x:port"}}}, "proxies: /a/: origin"),
        ({"logging": True}, "logging"),
        ({"logging": {"access": "no"}}, "logging: access"),
        ({"logging": {"error": "loud"}}, "logging: error: 'loud' is none of debug"),
        ({"encoding": "a b"}, "encoding"),
        ({"canonical_host": "a/b"}, "canonical_host"),
        ({"worker_connections": "many"}, "worker_connections"),
    ],
)
def test_bad_settings_are_refused_with_their_key(tmp_path: Path, given: object, named: str) -> None:
    (tmp_path / "index.html").touch()
    (tmp_path / "static.json").write_text(given if isinstance(given, str) else json.dumps(given))
    with pytest.raises(InvalidSettings, match=re.escape(named)):
        settings.load(tmp_path)


def test_what_classic_sites_have_is_read(tmp_path: Path) -> None:
    (tmp_path / "public_html").mkdir()
    given = {
        "redirects": {"/old": "/new"},
        "headers": {"/**": {"X-Number": 5}},
        "proxies": {"/api/": {"origin": "https://${NAME}.example/"}},
        "canonical_host": "${HOST}",
        "root": "public_html/",
        "debug": True,
    }
    (tmp_path / "static.json").write_text(json.dumps(given))
    found = settings.load(tmp_path)
    assert found.redirects == {"/old": Redirect("/new", 301)}
    assert found.headers == {"/**": {"X-Number": "5"}}
    assert found.variables() == {"NAME", "HOST"}
    assert (found.root, found.unknown) == ("public_html", ("debug",))


def test_everything_that_is_asked_for_is_in_the_configuration() -> None:
    found = Settings(
        root="dist",
        clean_urls=True,
        https_only=True,
        canonical_host="www.example",
        error_page="404.html",
        encoding="US-ASCII",
        access_log=False,
        error_log="warn",
        routes={"/app/**": "app.html"},
        redirects={"/old": Redirect("/new?$a", 302)},
        proxies={"/api": "https://${NAME}.example:8443/v1/", "/api/long/": "http://known"},
        headers={"/**": {"X-A": "1"}, "/b": {"X-A": "$2"}},
    )
    start = Start(port="5000", env={"NAME": "back"}, nameservers=("10.0.0.1", "fd00::1"), hosts={"known": "10.0.0.9"})
    text = nginx.config(found, start)
    for part in (
        "listen 5000;",
        'root "/app/dist";',
        "charset US-ASCII;",
        "access_log off;",
        "error_log stderr warn;",
        "resolver 10.0.0.1 [fd00::1] ipv6=off valid=30s;",
        'if ($http_x_forwarded_proto != "https") { return 301 https://$host$request_uri; }',
        'if ($host != "www.example") { return 301 $scheme_asked://www.example$request_uri; }',
        'error_page 404 500 "/404.html";',
        'location @redirect_0 { return 302 "/new?${dollar}a"; }',
        'location ~ "^/app/.*$" { try_files $uri.html $uri $uri/index.html $route_0 $fallback; }',
        "location / { try_files $uri.html $uri $uri/ $fallback; }",
        '"~^/api/long/" @proxy_1; "~^/api(?:/|$)" @proxy_0; "~^/old$" @redirect_0;',
        'rewrite "^/api/?(.*)$" "/v1/$1" break;',
        'proxy_set_header Host "back.example:8443";',
        'set $origin_0 "https://back.example:8443";',
        'set $origin_1 "http://10.0.0.9";',
        'proxy_redirect "http://back.example:8443/v1" "/api";',
        'map $asked $rule { default none; "~^/b$" 1; "~^/.*$" 0; }',
        '"${dollar}2"',
        'add_header "X-A" $header_0 always;',
    ):
        assert part in text, part


def test_config_vars_are_needed_and_checked_at_the_start() -> None:
    found = Settings(proxies={"/api/": "${API}"})
    with pytest.raises(InvalidSettings, match=r"proxies: /api/: origin: the config var API is not set"):
        nginx.config(found, Start())
    with pytest.raises(InvalidSettings, match=r"proxies: /api/: origin: 'evil; }' is not like"):
        nginx.config(found, Start(env={"API": "evil; }"}))
    with pytest.raises(InvalidSettings, match="redirects"):
        nginx.config(Settings(redirects={"/a": Redirect("${A}")}), Start(env={"A": "a\nb"}))


def test_who_may_log_in() -> None:
    assert serve.users({}, "# nobody\n") == []
    assert serve.users({"BASIC_AUTH_USERNAME": "a"}, "b:{SHA}x\n") == ["b:{SHA}x"]
    assert serve.users({"BASIC_AUTH_USERNAME": "a", "BASIC_AUTH_PASSWORD": "pass"}, "") == ["a:{PLAIN}pass"]
    hashed = "$apr1$/pb2/xQR$cn7UPcTOLymIH1ZMe.NfO."
    assert serve.users({"BASIC_AUTH_USERNAME": "a", "BASIC_AUTH_PASSWORD": hashed}, "") == [f"a:{hashed}"]
    with pytest.raises(InvalidSettings):
        serve.users({"BASIC_AUTH_USERNAME": "a:b", "BASIC_AUTH_PASSWORD": "c"}, "")


def test_names_that_the_machine_itself_knows() -> None:
    assert serve.known_hosts("127.0.0.1 localhost # x\n::1 localhost six\n10.0.0.1 db db.lan\n\n") == {
        "localhost": "127.0.0.1",
        "db": "10.0.0.1",
        "db.lan": "10.0.0.1",
    }
