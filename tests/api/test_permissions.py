"""Each operation by each role and each scope. The operations are the app's own routes: a new one without a line in
operations.py fails here."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_rig import Client, People
from operations import OF_AN_APP, OTHERS

from pogo.model import App, Release
from pogo.rules import operations as rules
from pogo.services import access, people
from pogo.services.database import Database

PREFIX = "/apps/{app}"
PERMISSIONS = ("view", "deploy", "operate", "manage")
SCOPES = {
    "identity": "identity",
    "read": "r",
    "write": "rw",
    "read-protected": "rR",
    "write-protected": "rRwW",
}
NARROWEST = {"r": "read", "w": "write", "R": "read-protected", "W": "write-protected"}


def served(client: Client) -> set[str]:
    paths = client.http.get("/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def test_every_operation_is_in_the_table(everyone: People) -> None:
    known = {key.replace(" ", f" {PREFIX}", 1) for key in OF_AN_APP} | OTHERS.keys()
    found = served(everyone.ann)
    assert found - known == set(), "add what these need to tests/api/operations.py, and to pogo/rules/operations.py"
    assert known - found == set(), "these are not there any more"
    for key in OF_AN_APP:
        assert rules.is_known(f"{PREFIX}{key.partition(' ')[2]}"), f"{key} has no line in pogo/rules/operations.py"


@pytest.fixture
def helpers(db: Database, everyone: People, app: App) -> dict[str, Client]:
    """Collaborators with one permission each (and `view`, which it brings along)."""
    found = {}
    for permission in PERMISSIONS:
        user = people.create_user(db, f"{permission}@example.com", "correct horse")
        access.add_collaborator(db, app, user.email, [permission])
        found[permission] = Client(everyone.ann.http, everyone.ann.schema, people.authorize(db, user)[1])
    return found


def call(client: Client, key: str, app: str, body: Any) -> tuple[int, str]:
    """(status, error id). Placeholders name nothing that is there."""
    method, _, path = key.partition(" ")
    headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}
    url = f"/apps/{app}" + re.sub(r"\{\w+\}", "none", path)
    answer: Any = client.http.request(method, url, headers=headers, json=body)  # without the check by the schema
    return answer.status_code, answer.json()["id"] if answer.status_code >= 400 else ""


def allows(permission: str, needed: str) -> bool:
    return needed == "view" or permission in needed.split("/")


def test_each_role(everyone: People, app: App, release: Release, helpers: dict[str, Client]) -> None:
    for key, (needed, _, body) in sorted(OF_AN_APP.items(), key=lambda one: one[0] == "DELETE "):
        assert call(everyone.nobody, key, "shop", body) == (401, "unauthorized"), key
        assert call(everyone.eve, key, "shop", body) == (403, "forbidden"), key
        for permission, helper in helpers.items():
            if not allows(permission, needed):
                # Who removes nobody at all needs the permission to manage, too: names are not for guessing.
                assert call(helper, key, "shop", body) == (403, "forbidden"), (key, permission)
        for client in [helpers[permission] for permission in needed.split("/")]:
            status, _ = call(client, key, "shop", body)
            assert status not in (401, 403, 405, 500), (key, status)


def test_whoever_may_see_an_app_sees_what_its_databases_have_done(
    everyone: People, helpers: dict[str, Client], app: App
) -> None:
    """`pg:backups` and `data:maintenances`, whose paths begin differently."""
    for path in ("/client/v11/apps/shop/transfers", "/data/maintenances/v1/apps/shop"):
        assert helpers["view"].get(path).status_code == 200
        assert everyone.eve.get(path).status_code == 403
        assert everyone.nobody.get(path).status_code == 401


def test_the_owner_and_the_operator(everyone: People, app: App, release: Release) -> None:
    for key, (_, _, body) in sorted(OF_AN_APP.items(), key=lambda one: one[0] == "DELETE "):
        if key.startswith("GET"):
            for client in (everyone.ann, everyone.root):
                assert call(client, key, "shop", body)[0] not in (401, 403, 405, 500), key
        assert call(everyone.ann, key, "absent", body) == (404, "not_found"), key
    assert call(everyone.root, "DELETE ", "shop", None)[0] == 200


def test_each_scope(everyone: People, app: App, release: Release, db: Database) -> None:
    """Refused where the scope is too narrow; where it is wide enough, the answer is that of a global token."""
    owner = everyone.users["ann"]
    for scope, allowed in SCOPES.items():
        narrow = Client(everyone.ann.http, everyone.ann.schema, people.authorize(db, owner, scope=[scope])[1])
        for key, (_, needed, body) in OF_AN_APP.items():
            if needed in allowed and allowed != "identity":
                if NARROWEST[needed] == scope and not key.startswith("DELETE"):
                    assert call(narrow, key, "shop", body)[0] not in (401, 403), (scope, key)
            else:
                assert call(narrow, key, "shop", body) == (403, "forbidden"), (scope, key)
        for key, (_, needed) in OTHERS.items():
            if needed and needed != "identity" and (needed not in allowed or allowed == "identity"):
                method, _, path = key.partition(" ")
                refused = narrow.call(method, re.sub(r"\{\w+\}", "1", path), {})
                assert refused.status_code == 403, (scope, key)


def test_who_may_call_what_is_not_of_an_app(everyone: People, app: App) -> None:
    for key, (who, _) in OTHERS.items():
        method, _, path = key.partition(" ")
        path = re.sub(r"\{\w+\}", "1", path)
        if who == "open":
            continue
        without = everyone.nobody.call(method, path, {})
        assert without.status_code == 401, key
        if who == "operator":
            bodies: dict[str, Any] = {"/users": {"email": "x@example.com"}, "/invitations": {"email": "x@example.com"}}
            bodies |= {"/buildpack-mirrors": {"prefix": "https://a/", "url": "https://b/"}}
            bodies |= {"/buildpacks/1/1": {"url": "https://example.com/x.git"}}
            refused = everyone.eve.call(method, path, bodies.get(path))
            expected = (403, 404) if path == "/users/1" else (403,)
            assert refused.status_code in expected, (key, refused.text)


def test_of_other_peoples_things_not_even_the_existence_is_told(everyone: People, db: Database) -> None:
    ann, eve = everyone.ann, everyone.eve
    key = ann.post("/account/keys", {"public_key": PUBLIC_KEY}).json()["id"]
    client = ann.post("/oauth/clients", {"name": "c", "redirect_uri": "https://c.example.com/"}).json()["id"]
    token = ann.get("/oauth/authorizations").json()[0]["id"]
    for path in (f"/account/keys/{key}", f"/oauth/clients/{client}", f"/oauth/authorizations/{token}"):
        absent = path.rpartition("/")[0] + "/none"
        for method in ("GET", "DELETE"):
            theirs, nothing = eve.call(method, path), eve.call(method, absent)
            assert theirs.status_code == nothing.status_code == 404
            assert theirs.json() == nothing.json()
    assert eve.get("/users/ann@example.com").json() == eve.get("/users/none@example.com").json()


PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann@laptop"


def test_collaborators_with_permissions(everyone: People, app: App, release: Release) -> None:
    ann, bob, eve = everyone.ann, everyone.bob, everyone.eve
    assert [one["role"] for one in ann.get("/apps/shop/collaborators").json()] == ["owner", "collaborator"]
    made = ann.post("/apps/shop/collaborators", {"user": "eve@example.com", "permissions": ["view"]}).json()
    assert [one["name"] for one in made["permissions"]] == ["view"]
    assert eve.patch("/apps/shop/config-vars", {"A": "1"}).status_code == 403
    assert "deploy or operate" in eve.patch("/apps/shop/config-vars", {"A": "1"}).json()["message"]
    changed = ann.patch("/apps/shop/collaborators/eve@example.com", {"permissions": ["manage", "deploy"]}).json()
    assert [one["name"] for one in changed["permissions"]] == ["deploy", "manage", "view"]
    assert eve.patch("/apps/shop/config-vars", {"A": "1"}).status_code == 200
    assert eve.patch("/apps/shop", {"maintenance": True}).status_code == 403
    assert eve.delete("/apps/shop/collaborators/bob@example.com").status_code == 200
    assert bob.get("/apps/shop").status_code == 403
    assert eve.delete("/apps/shop/collaborators/ann@example.com").status_code == 422
    assert ann.patch("/apps/shop/collaborators/eve@example.com", {"permissions": ["fly"]}).status_code == 422
    assert ann.patch("/apps/shop/collaborators/ann@example.com", {"permissions": ["view"]}).status_code == 422
    assert eve.delete("/apps/shop/collaborators/eve@example.com").status_code == 200, "anybody may leave"
    assert eve.get("/apps/shop").status_code == 403
