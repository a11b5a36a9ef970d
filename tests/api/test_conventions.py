"""What holds for every endpoint: errors, headers, pages, caching, and who is let in."""

from __future__ import annotations

import itertools
from typing import Any

import httpx2
import pytest
from api_rig import Client, People
from heroku_schema import HerokuSchema
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from pogo.api import envelope, paging
from pogo.api.paging import Wanted, parse
from pogo.api.resources import catalog
from pogo.errors import RangeNotSatisfiable
from pogo.model import App, Release
from pogo.services import access

FIELDS = ("id", "version", "seq", "number")

OF_THE_CALLER = [
    "/account",
    "/account/features",
    "/account/rate-limits",
    "/addon-attachments",
    "/addons",
    "/apps",
    "/buildpack-mirrors",
    "/dyno-sizes",
    "/generations",
    "/oauth/authorizations",
    "/pipeline-couplings",
    "/pipelines",
    "/regions",
    "/spaces",
    "/stacks",
    "/teams",
    "/users/~/apps",
    "/users/~/pipeline-couplings",
]


def test_lists_and_single_resources_of_the_caller(everyone: People) -> None:
    for path in OF_THE_CALLER:
        assert everyone.ann.get(path).status_code == 200
        assert everyone.nobody.get(path).status_code == 401


def test_the_catalog(ann: Client) -> None:
    assert [one["name"] for one in ann.get("/stacks").json()] == ["pogo-13", "pogo-12"]
    assert ann.get("/stacks/heroku-24").json() == ann.get("/stacks/pogo-13").json() == ann.get("/stacks").json()[0]
    (region,) = ann.get("/regions").json()
    assert ann.get("/regions/us").json() == ann.get(f"/regions/{region['id']}").json() == region
    (generation,) = ann.get("/generations").json()
    assert ann.get("/generations/cedar").json() == ann.get("/generations/pogo-13").json() == generation
    assert ann.get("/generations/none").json()["resource"] == "generation"
    basic = ann.get("/dyno-sizes/basic").json()
    assert (basic["name"], basic["memory"]) == ("Basic", 0.5)
    assert ann.get(f"/dyno-sizes/{basic['id']}").json() == basic
    for path in ("stacks", "regions", "generations", "dyno-sizes"):
        assert ann.get(f"/{path}/none").status_code == 404
    assert catalog.router.routes


def test_what_nobody_has_yet(ann: Client) -> None:
    for path in ("addons", "addon-attachments", "sni-endpoints"):
        assert ann.get(f"/apps/shop/{path}").json() == []
    for path in ("/apps/shop/pipeline-couplings", "/apps/shop/features/x", "/account/features/x"):
        assert ann.get(path).status_code == 404


def test_paths_methods_and_bodies_that_mean_nothing(ann: Client) -> None:
    for path in ("/", "/none", "/apps/shop/none", "/apps/"):
        assert (ann.get(path).status_code, ann.get(path).json()["id"]) == (404, "not_found"), path
    wrong = ann.put("/apps/shop", {})
    assert (wrong.status_code, wrong.json()["id"], wrong.headers["allow"]) == (405, "method_not_allowed", "GET")
    for content in (b"{", b"\xff", b"[" * 100_000, b'{"a":1}x'):
        answer = ann.http.patch("/apps/shop", content=content, headers={"Authorization": f"Bearer {ann.token}"})
        assert (answer.status_code, answer.json()["id"]) == (400, "bad_request"), content[:9]
    large = ann.http.post("/apps", content=b" " * (3 << 20), headers={"Authorization": f"Bearer {ann.token}"})
    assert (large.status_code, large.json()["id"]) == (413, "payload_too_large")


CONTENT_TYPES = ["", "text/plain", "application/x-www-form-urlencoded", "application/json"]


def test_a_body_is_json_whatever_it_is_called(ann: Client) -> None:
    for content_type in CONTENT_TYPES:
        headers = {"Authorization": f"Bearer {ann.token}"} | ({"Content-Type": content_type} if content_type else {})
        answer = ann.http.patch("/apps/shop", content=b'{"maintenance": true}', headers=headers)
        assert answer.json()["maintenance"] is True


def test_headers(ann: Client) -> None:
    answer = ann.get("/apps/shop", Accept="application/vnd.heroku+json; version=3.sdk")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["oauth-scope"] == "global"
    assert answer.headers["access-control-allow-origin"] == "*" if "origin" in answer.request.headers else True
    assert len(answer.headers["request-id"]) == 36
    many = ",".join(["01234567-89ab-cdef-0123-456789abcdef"] * 190)
    assert len(many) > 7000
    assert ann.get("/account", **{"Request-Id": many}).headers["request-id"] == many
    assert len(ann.get("/account", **{"Request-Id": "x" * 9000}).headers["request-id"]) == 36
    refused = ann.get("/apps/none", **{"Request-Id": "mine"})
    assert refused.headers["request-id"] == "mine"


def test_cross_origin(ann: Client) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "PATCH"}
    asked = ann.http.options("/apps/shop", headers=headers | {"Access-Control-Request-Headers": "authorization,range"})
    assert asked.status_code == 200
    assert "PATCH" in asked.headers["access-control-allow-methods"]
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    answer = ann.get("/account", Origin="https://elsewhere.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Next-Range" in answer.headers["access-control-expose-headers"]


def test_etag_and_head(ann: Client) -> None:
    first = ann.get("/apps/shop")
    tag = first.headers["etag"]
    again = ann.get("/apps/shop", **{"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    ann.patch("/apps/shop", {"maintenance": True})
    assert ann.get("/apps/shop", **{"If-None-Match": tag}).status_code == 200
    head = ann.call("HEAD", "/apps/shop")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(ann.get("/apps/shop").content))


def test_the_address_of_a_caller_is_what_the_router_saw() -> None:
    """Whatever the client says before: the router writes its own last, be it on the same line or on one more."""
    for lines in (["1.1.1.1, 9.9.9.9"], ["1.1.1.1", "2.2.2.2", "9.9.9.9"], ["9.9.9.9"]):
        headers = [(b"x-forwarded-for", line.encode()) for line in lines]
        scope: Any = {"type": "http", "method": "GET", "headers": headers, "client": None}
        assert envelope._Exchange(scope, None, None).actor().ip == "9.9.9.9"  # type: ignore[arg-type]


def test_a_fault_of_ours_is_told_with_its_request_id(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("pogo.services.releases.list_releases", broken)
    with capture_logs() as logs:
        answer = ann.get("/apps/shop/releases", **{"Request-Id": "an-id"})
    assert (answer.status_code, answer.json()["id"]) == (500, "server_error")
    assert "an-id" in answer.json()["message"] and "bug" not in answer.text
    assert answer.headers["request-id"] == "an-id"
    (entry,) = logs
    assert (entry["request_id"], entry["endpoint"], entry["log_level"]) == ("an-id", "index", "error")
    assert ann.token and ann.token not in str(entry)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, Wanted("id")),
        ("", Wanted("id")),
        ("version ..; max=1, order=desc", Wanted("version", max=1, descending=True)),
        ("version ..; order=desc,max=1", Wanted("version", max=1, descending=True)),
        ("version ..; order=desc", Wanted("version", descending=True)),
        ("version ..; max=15, order=desc", Wanted("version", max=15, descending=True)),
        ("id ..; max=1000;", Wanted("id", max=1000)),
        ("id ..; max=1000", Wanted("id", max=1000)),
        ("seq ..; order=desc,max=1000", Wanted("seq", max=1000, descending=True)),
        ("number ..; order=desc,max=1", Wanted("number", max=1, descending=True)),
        ("id ]abc..; max=5", Wanted("id", start="abc", exclusive=True, max=5)),
        ("id abc..def", Wanted("id", start="abc", end="def")),
        ("id ..def; order=asc", Wanted("id", end="def")),
        ("id a.b..c.d", Wanted("id", start="a.b", end="c.d")),
        ("version", Wanted("version")),
        ("; max=3", Wanted("id", max=3)),
        ("id ..; max=5000", Wanted("id", max=1000)),
    ],
)
def test_spellings_of_a_range(header: str | None, wanted: Wanted) -> None:
    assert parse(header, FIELDS) == wanted


BAD_RANGES = ["bytes=0-", "colour ..", "id ..; max=0", "id ..; max=x", "id ..; order=up", "id ..; n=1"]


def test_ranges_that_mean_nothing(ann: Client) -> None:
    for header in BAD_RANGES:
        with pytest.raises(RangeNotSatisfiable):
            parse(header, FIELDS)
        answer = ann.get("/apps/shop/releases", Range=header)
        assert (answer.status_code, answer.json()["id"]) == (416, "requested_range_not_satisfiable")
        assert ann.get("/apps/shop", Range=header).status_code == 200, "only lists have ranges"


@given(st.sets(st.integers(0, 50)), st.integers(1, 7), st.booleans(), st.integers(0, 50) | st.none())
def test_pages_add_up(rows: set[int], size: int, descending: bool, start: int | None) -> None:
    order = ", order=desc" if descending else ""
    header: str | None = f"version {'' if start is None else start}..; max={size}{order}"
    found: list[int] = []
    for _ in range(60):
        page = paging.page(list(rows), parse(header, FIELDS), FIELDS, lambda row: row)
        assert len(page.items) <= size
        found += page.items
        header = page.headers.get("Next-Range")
        if not header:
            break
    inside = [row for row in rows if start is None or (row <= start if descending else row >= start)]
    assert found == sorted(inside, reverse=descending)


def test_a_list_page_by_page(ann: Client) -> None:
    for name in ("a-app", "b-app", "c-app"):
        ann.post("/apps", {"name": name})
    pages: list[httpx2.Response] = []
    header = "name ..; max=3"
    while header:
        pages.append(ann.get("/apps", Range=header))
        header = pages[-1].headers.get("next-range", "")
    assert [page.status_code for page in pages] == [206, 206]
    assert pages[0].headers["content-range"] == "name a-app..c-app"
    assert pages[0].headers["next-range"] == "name ]c-app..; max=3"
    assert pages[0].headers["accept-ranges"] == "name, id"
    names = [app["name"] for app in itertools.chain.from_iterable(page.json() for page in pages)]
    assert names == ["a-app", "b-app", "c-app", "shop"]
    whole = ann.get("/apps")
    assert (whole.status_code, "next-range" in whole.headers) == (200, False)


def test_lists_that_keep_their_order_have_pages_too(ann: Client, everyone: People) -> None:
    ann.post("/apps/shop/collaborators", {"user": "eve@example.com"})
    whole = ann.get("/apps/shop/collaborators").json()
    for order in ("", ", order=desc"):
        found: list[Any] = []
        header = f"id ..; max=1{order}"
        while header:
            page = ann.get("/apps/shop/collaborators", Range=header)
            assert page.status_code == 206 and len(page.json()) == 1 and page.headers["accept-ranges"] == "id"
            found += page.json()
            header = page.headers.get("next-range", "")
        assert found == (whole[::-1] if order else whole)
    for header in ("id ..; max=1000", "name ..; max=1", "id ]none..; max=1"):
        answer = ann.get("/apps/shop/collaborators", Range=header)
        assert len(answer.json()) == (0 if "none" in header else 3), header


def test_lists_of_what_the_platform_offers_have_pages(ann: Client) -> None:
    ann.put(
        "/apps/shop/buildpack-installations", {"updates": [{"buildpack": f"heroku/{one}"} for one in ("go", "php")]}
    )
    for path, field in {
        "/dyno-sizes": "id",
        "/regions": "id",
        "/generations": "id",
        "/stacks": "id",
        "/apps/shop/buildpack-installations": "ordinal",
    }.items():
        whole, found, header = ann.get(path).json(), [], f"{field} ..; max=1"
        while header:
            page = ann.get(path, Range=header)
            assert len(page.json()) == 1 and page.headers["accept-ranges"] == field, path
            found += page.json()
            header = page.headers.get("next-range", "")
        assert found == whole, path


def test_what_is_removed_between_two_looks_is_not_found(ann: Client, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "find_app", lambda *_: App(id="gone", name="gone"))
    answer = ann.patch("/apps/shop", {"maintenance": True})
    assert (answer.status_code, answer.json()["id"]) == (404, "not_found")


VARIANTS = ["sdk", "pipelines", "filters", "webhooks", "run-inside", "account-quotas", "fir", "dogwood", "process-tier"]


def test_what_a_client_accepts(ann: Client) -> None:
    """Every variant of version 3, no Accept at all, and expansions: the same answer."""
    plain = ann.get("/apps/shop").json()
    for variant in ["", *(f".{name}" for name in VARIANTS)]:
        answer = ann.get("/apps/shop", Accept=f"application/vnd.heroku+json; version=3{variant}")
        assert (answer.status_code, answer.json()) == (200, plain), variant
    for accept in ("*/*", "application/json", "text/html", ""):
        assert ann.get("/apps/shop", Accept=accept).json() == plain, accept
    expand = {"Accept-Expansion": "addon_service,plan", "Accept-Inclusion": "addon:plan,config_vars"}
    assert ann.get("/apps/shop/addons", **expand).json() == []
    legacy = {"X-Heroku-Legacy-Provider-Messages": "true"}
    assert ann.get("/apps/shop", **legacy).json() == plain


def test_gzip(ann: Client) -> None:
    long = ann.get("/dyno-sizes", **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in long.headers and len(long.content) > 1000
    packed = ann.get("/dyno-sizes", **{"Accept-Encoding": "deflate, gzip"})
    assert packed.headers["content-encoding"] == "gzip" and packed.json() == long.json()
    assert int(packed.headers["content-length"]) < len(long.content) / 1.5
    assert packed.headers["etag"] == f"W/{long.headers['etag']}"
    assert "Accept-Encoding" in packed.headers["vary"]
    for tag in (packed.headers["etag"], long.headers["etag"]):
        again = ann.get("/dyno-sizes", **{"If-None-Match": tag, "Accept-Encoding": "gzip"})
        assert (again.status_code, again.content) == (304, b"")
    short = ann.get("/account/rate-limits", **{"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers, "not worth it"


def test_the_caller_by_a_tilde(ann: Client) -> None:
    for path, same in (("/users/~", "/account"), ("/users/~/apps", "/users/ann@example.com/apps")):
        assert ann.get(path).json() == ann.get(same).json()
    assert ann.get("/oauth/authorizations/~").json()["access_token"]["token"] == ann.token


QUANTITIES = [("2", 2), (3, 3), ("+1", 4), ("-2", 2)]


def test_quantities(ann: Client, release: Release) -> None:
    for quantity, expected in QUANTITIES:
        answer = ann.patch("/apps/shop/formation", {"updates": [{"type": "worker", "quantity": quantity}]})
        assert [one["quantity"] for one in answer.json()] == [expected], quantity
    for wrong in ("many", True, [1], "1.5"):
        answer = ann.patch("/apps/shop/formation", {"updates": [{"type": "worker", "quantity": wrong}]})
        assert answer.status_code == 422, wrong


def test_unknown_fields_and_wrong_types(ann: Client) -> None:
    assert ann.patch("/apps/shop", {"maintenance": False, "colour": "blue"}).status_code == 200
    wrong = ann.patch("/apps/shop", {"maintenance": "yes"})
    assert wrong.json() == {"id": "invalid_params", "message": "Invalid request: `maintenance` must be a boolean"}


def test_the_schema_is_at_hand(heroku_schema: HerokuSchema, ann: Client) -> None:
    """Skipped, for all to see, where answers cannot be checked against Heroku's schema."""
    heroku_schema.require()
    ann.get("/apps/shop")
    assert "GET /apps/{app}" in heroku_schema.seen
