"""The account, logins and tokens, and what tokens of a narrow scope may do."""

from __future__ import annotations

from typing import Any

import pytest
from api_rig import Client, People, basic

from pogo.model import App
from pogo.rules.operations import permits
from pogo.services import people
from pogo.services.platform import Platform


def test_the_account(everyone: People) -> None:
    ann = everyone.ann
    assert ann.get("/account").json()["email"] == "ann@example.com"
    assert ann.get("/users/~").json() == ann.get("/account").json() == ann.get("/users/ann@example.com").json()
    assert ann.patch("/account", {"name": "Ann"}).json()["name"] == "Ann"
    assert ann.patch("/users/~", {"name": None}).json()["name"] is None
    assert ann.patch("/users/ann@example.com", {"name": "Ann B."}).json()["name"] == "Ann B."
    assert ann.patch("/users/bob@example.com", {"name": "Bob B."}).status_code == 404
    assert ann.patch("/account", {"name": 5}).status_code == 422
    assert 4400 < ann.get("/account/rate-limits").json()["remaining"] < 4500
    assert ann.get("/users/bob@example.com").status_code == 404
    assert everyone.root.get("/users/bob@example.com").json()["email"] == "bob@example.com"


def test_somebody_leaves(everyone: People) -> None:
    """Under each name of himself; his tokens end with him."""
    for user, name in ((everyone.bob, "~"), (everyone.eve, "eve@example.com")):
        email = user.get("/account").json()["email"]
        assert user.delete(f"/users/{name}").json()["email"] == email
        assert user.get("/account").status_code == 401
        assert everyone.root.get(f"/users/{email}").status_code == 404


def test_a_new_password_needs_the_old_one(everyone: People, platform: Platform) -> None:
    ann = everyone.ann
    assert ann.patch("/account", {"new_password": "battery staple", "password": "wrong"}).status_code == 422
    assert ann.patch("/account", {"new_password": "battery staple"}).status_code == 422
    assert ann.patch("/account", {"new_password": "short", "password": "correct horse"}).status_code == 422
    assert ann.patch("/account", {"new_password": "battery staple", "password": "correct horse"}).status_code == 200
    assert people.check_password(platform.db, "ann@example.com", "battery staple")


def test_the_operator_makes_users(everyone: People) -> None:
    body = {"email": "New@Example.com", "password": "words and words", "name": "New"}
    assert everyone.ann.post("/users", body).status_code == 403
    assert everyone.root.post("/users", body).json()["email"] == "new@example.com"
    assert everyone.root.post("/users", body).status_code == 422
    assert everyone.root.post("/users", {}).json()["message"] == "Invalid request: `email` is required"
    assert everyone.nobody.post("/users", body).status_code == 401


def test_login_by_password(everyone: People) -> None:
    login = {"Authorization": basic("ann@example.com", "correct horse")}
    body = {"description": "Heroku CLI login", "expires_in": 2592000, "scope": ["global"]}
    made = everyone.nobody.post("/oauth/authorizations", body, **login)
    assert made.status_code == 201
    token = made.json()["access_token"]["token"]
    assert made.json()["user"]["email"] == "ann@example.com"
    assert 2591990 < made.json()["access_token"]["expires_in"] <= 2592000
    for header in (f"Bearer {token}", f"bearer {token}", basic("", token), basic("x@y", token)):
        answer = everyone.nobody.get("/account", Authorization=header)
        assert answer.json()["email"] == "ann@example.com"
        assert answer.headers["oauth-scope"] == "global"
    assert everyone.nobody.get("/account", **login).status_code == 401, "a password is no token elsewhere"
    assert everyone.nobody.post("/oauth/authorizations", **login).status_code == 201, "the body may be left out"


WRONG_CREDENTIALS = [
    None,
    "",
    "Bearer",
    "Bearer undefined",
    "Bearer HRKU-wrong",
    "Basic",
    "Basic %%%",
    "Basic " + "/" * 8,
    basic("ann@example.com", "wrong"),
    basic("none@example.com", "correct horse"),
    basic("ann@example.com", ""),
    basic("ann@example.com", "HRKU-wrong"),
    "Digest x",
]


def test_wrong_credentials(everyone: People) -> None:
    for header in WRONG_CREDENTIALS:
        for method, path in (("GET", "/account"), ("POST", "/oauth/authorizations"), ("GET", "/apps/none")):
            answer = everyone.nobody.call(method, path, **({} if header is None else {"Authorization": header}))
            assert (answer.status_code, answer.json()["id"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Basic")


def test_authorizations(everyone: People) -> None:
    ann = everyone.ann
    made = ann.post("/oauth/authorizations", {"description": "ci", "scope": ["read", "write"], "expires_in": "100"})
    ci, token = made.json()["id"], made.json()["access_token"]["token"]
    laptop, other = ann.get("/oauth/authorizations").json()
    assert (laptop["description"], laptop["access_token"]["token"]) == ("laptop", ann.token)
    assert (other["id"], other["access_token"]["token"]) == (ci, "**********")
    assert ann.get(f"/oauth/authorizations/{ci}").json()["scope"] == ["read", "write"]
    assert ann.get("/oauth/authorizations/~").json()["id"] == laptop["id"]
    assert everyone.bob.get(f"/oauth/authorizations/{ci}").status_code == 404
    assert everyone.bob.delete(f"/oauth/authorizations/{ci}").status_code == 404
    assert ann.delete(f"/oauth/authorizations/{ci}").json()["description"] == "ci"
    assert everyone.nobody.get("/account", Authorization=f"Bearer {token}").status_code == 401
    assert ann.delete(f"/oauth/authorizations/{ci}").status_code == 404

    for body in (
        {"scope": ["all"]},
        {"scope": "read"},
        {"expires_in": "soon"},
        {"expires_in": 0},
        {"expires_in": True},
    ):
        assert ann.post("/oauth/authorizations", body).status_code == 422, body
    assert ann.post("/oauth/authorizations", {"expires_in": 9_999_999_999}).status_code == 201


def test_logout_revokes_the_token_of_the_call(everyone: People) -> None:
    assert everyone.ann.delete("/oauth/sessions/other").status_code == 404
    assert everyone.ann.delete("/oauth/sessions/~").status_code == 200
    assert everyone.ann.get("/account").status_code == 401


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        ("global", ["GET /account", "POST /oauth/authorizations", "DELETE /apps/x", "GET /apps/x/config-vars"], []),
        ("identity", ["GET /account", "DELETE /oauth/sessions/~"], ["GET /apps", "PATCH /account", "POST /apps"]),
        (
            "read",
            ["GET /apps/x", "GET /apps/x/releases", "GET /account", "GET /users/~/apps"],
            [
                "GET /apps/x/config-vars",
                "GET /apps/x/releases/v1/config-vars",
                "POST /apps",
                "GET /oauth/authorizations",
            ],
        ),
        ("read-protected", ["GET /apps/x/config-vars"], ["PATCH /apps/x/config-vars", "DELETE /apps/x"]),
        (
            "write",
            ["GET /apps/x", "POST /apps", "PATCH /apps/x/formation", "POST /apps/x/log-sessions"],
            ["PATCH /apps/x/config-vars", "POST /apps/x/dynos", "POST /apps/x/builds", "PATCH /account", "POST /users"],
        ),
        (
            "write-protected",
            ["PATCH /apps/x/config-vars", "POST /apps/x/dynos", "GET /apps/x/config-vars"],
            ["POST /oauth/authorizations", "DELETE /oauth/authorizations/x"],
        ),
    ],
)
def test_scopes(scope: str, allowed: list[str], refused: list[str]) -> None:
    for call in allowed:
        assert permits(frozenset({scope}), *call.split()), call
    for call in refused:
        assert not permits(frozenset({scope}), *call.split()), call


def test_a_narrow_token_is_refused(everyone: People, app: App, ann: Client) -> None:
    token = ann.post("/oauth/authorizations", {"scope": ["read"]}).json()["access_token"]["token"]
    narrow = Client(ann.http, ann.schema, token)
    assert narrow.get("/apps/shop").headers["oauth-scope"] == "read"
    for answer in (narrow.get("/apps/shop/config-vars"), narrow.delete("/apps/shop")):
        assert (answer.status_code, answer.json()["id"]) == (403, "forbidden")


def test_preferences_want_a_body(everyone: People) -> None:
    ann = everyone.ann
    for content in (b"", b"{", b"[]", b"null", b'{"timezone":'):
        headers = {"Authorization": f"Bearer {ann.token}"}
        answer: Any = ann.http.request("PATCH", "/users/~/preferences", headers=headers, content=content)
        assert answer.status_code in (400, 422), (content, answer.text)


def test_a_token_without_an_end(everyone: People) -> None:
    for body in ({"expires_in": None}, {}):
        made = everyone.ann.post("/oauth/authorizations", body)
        assert (made.status_code, made.json()["access_token"]["expires_in"]) == (201, None), made.text
