"""How the router treats an app's requests, as its owner sets it; who may claim which domain."""

from __future__ import annotations

from typing import Any

import pytest
from api_rig import Client, People, RecordedHints, said

from pogo.model import App
from pogo.router import Options
from pogo.services import snapshot
from pogo.services.platform import Platform

DEFAULTS = {
    "first_byte_timeout": 30,
    "idle_timeout": 55,
    "websocket_timeout": 3600,
    "requests_per_dyno": 50,
    "queue_length": 200,
    "retry": "connect",
    "https_only": False,
    "hsts": 0,
    "allow": [],
    "deny": [],
    "rate_limit": 0,
    "basic_auth": None,
}


def routing(platform: Platform) -> Options:
    return next(app.routing for app in snapshot.read(platform.db) if app.name == "shop")


def test_settings_reach_the_router(ann: Client, app: App, hints: RecordedHints, platform: Platform) -> None:
    assert ann.get("/apps/shop/router").json() == DEFAULTS
    assert routing(platform) == Options()
    hints.taken()
    wanted = {"idle_timeout": 90, "https_only": True, "allow": ["10.1.2.3", "2001:db8::/32"], "basic_auth": "ann:a:b"}
    changed = ann.patch("/apps/shop/router", wanted)
    shown = {"allow": ["10.1.2.3/32", "2001:db8::/32"], "basic_auth": "ann"}
    assert changed.json() == {**DEFAULTS, **wanted, **shown} == ann.get("/apps/shop/router").json()
    assert hints.taken() == {"router"}
    line = said(platform, app)[-1]
    assert "idle_timeout = 90, https_only = true, allow = 10.1.2.3/32,2001:db8::/32, basic_auth = ann by" in line
    told = routing(platform)
    assert (told.idle, told.https_only, told.allow) == (90, True, ("10.1.2.3/32", "2001:db8::/32"))
    assert len(told.password) == 32 + 1 + 64
    assert "a:b" not in told.password
    ann.patch("/apps/shop/router", dict.fromkeys(wanted))
    assert ann.get("/apps/shop/router").json() == DEFAULTS
    assert routing(platform) == Options()


def test_affinity_and_pages_of_the_apps_own(ann: Client, app: App, platform: Platform) -> None:
    ann.patch("/apps/shop/features/http-session-affinity", {"enabled": True})
    pages = {"ERROR_PAGE_URL": "https://example.com/error.html", "MAINTENANCE_PAGE_URL": "javascript:alert(1)"}
    assert ann.patch("/apps/shop/config-vars", pages).status_code == 200
    assert routing(platform) == Options(affinity=True, error_page="https://example.com/error.html")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"idle_timeout": 0}, "idle_timeout must be from 1 to 3600, not 0"),
        ({"idle_timeout": "55"}, "`idle_timeout` must be an integer"),
        ({"https_only": 1}, "`https_only` must be a boolean"),
        ({"retry": "always"}, "retry must be connect or idempotent, not always"),
        ({"allow": ["10.0.0.1/8"]}, "allow must be IP ranges such as 203.0.113.0/24: 10.0.0.1/8 has host bits set"),
        ({"deny": ["2001:db8::1"]}, "deny must name IPv6 ranges of /112 or more"),
        ({"deny": "10.0.0.0/8"}, "`deny` must be an array"),
        ({"deny": ["10.0.0.0/32"] * 501}, "deny must be at most 500 ranges"),
        ({"basic_auth": "nobody"}, "basic_auth must be user:password"),
    ],
)
def test_settings_that_cannot_be(ann: Client, app: App, body: Any, words: str) -> None:
    answer = ann.patch("/apps/shop/router", body)
    assert (answer.status_code, answer.json()["id"]) == (422, "invalid_params")
    assert words in answer.json()["message"]
    assert ann.get("/apps/shop/router").json() == DEFAULTS


def test_settings_are_for_those_who_may_see_the_app(everyone: People, app: App) -> None:
    assert everyone.bob.get("/apps/shop/router").status_code == 200
    assert everyone.eve.get("/apps/shop/router").status_code in (403, 404)
    assert everyone.nobody.get("/apps/shop/router").status_code == 401


def test_a_wildcard_and_what_it_covers_have_one_owner(everyone: People, app: App) -> None:
    everyone.eve.post("/apps", {"name": "eves"})
    assert everyone.ann.post("/apps/shop/domains", {"hostname": "*.Example.com."}).json()["hostname"] == "*.example.com"
    everyone.eve.post("/apps/eves/domains", {"hostname": "www.example.org"})
    for hostname in ("www.example.com", "a.b.example.com", "*.b.example.com", "*.example.com"):
        answer = everyone.eve.post("/apps/eves/domains", {"hostname": hostname})
        assert answer.status_code == 422, hostname
        assert "somebody else has" in answer.json()["message"] or "already in use" in answer.json()["message"]
    refused = everyone.ann.post("/apps/shop/domains", {"hostname": "*.example.org"})
    assert refused.json()["message"].endswith("somebody else has a domain that overlaps with it.")
    for hostname in ("example.com", "notexample.com"):
        assert everyone.eve.post("/apps/eves/domains", {"hostname": hostname}).status_code == 201
    for hostname in ("*.b.example.com", "www.example.com", "example.org"):
        assert everyone.ann.post("/apps/shop/domains", {"hostname": hostname}).status_code == 201


def test_other_alphabets(ann: Client, app: App) -> None:
    """Kept and shown as the router sees them; found under both names."""
    made = ann.post("/apps/shop/domains", {"hostname": "*.Straße.example"})
    assert made.json()["hostname"] == "*.xn--strae-oqa.example"
    assert ann.get("/apps/shop/domains/*.straße.example").json() == made.json()
    assert ann.delete("/apps/shop/domains/*.STRAẞE.example").status_code == 200
    assert ann.get("/apps/shop/domains/☃.").status_code == 404
    for hostname in ("☃" * 80 + ".com", "shop.localhost", "localhost"):
        assert ann.post("/apps/shop/domains", {"hostname": hostname}).status_code == 422, hostname
