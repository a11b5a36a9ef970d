"""Teams through the API: members, invitations, apps, permissions."""

from __future__ import annotations

import pytest
from api_rig import Client, People

from pogo.services import access, people
from pogo.services.platform import Platform


@pytest.fixture
def team(everyone: People) -> str:
    """ann is its admin, bob a member."""
    assert everyone.ann.post("/teams", {"name": "acme"}).status_code == 201
    body = {"email": "bob@example.com", "role": "member"}
    assert everyone.ann.put("/teams/acme/members", body).status_code == 201
    return "acme"


def make(client: Client, name: str, **more: object) -> dict[str, object]:
    made = client.post("/teams/apps", {"name": name, "team": "acme", **more})
    assert made.status_code == 201, made.text
    found: dict[str, object] = made.json()
    return found


def test_a_team_from_first_to_last(everyone: People) -> None:
    ann = everyone.ann
    made = ann.post("/teams", {"name": "acme"})
    assert (made.status_code, made.json()["role"], made.json()["type"]) == (201, "admin", "team")
    assert ann.get("/teams").json() == [made.json()]
    assert ann.get("/teams/acme").json() == ann.get(f"/teams/{made.json()['id']}").json() == made.json()
    assert "taken" in everyone.eve.post("/teams", {"name": "acme"}).json()["message"]
    assert everyone.eve.post("/teams", {"name": "apps"}).status_code == 422
    assert everyone.eve.get("/teams").json() == []
    assert everyone.eve.get("/teams/acme").status_code == 404
    assert everyone.root.get("/teams/acme").json()["role"] is None
    renamed = ann.patch("/teams/acme", {"name": "acme-two"}).json()
    assert renamed["name"] == "acme-two"
    assert [one["name"] for one in ann.get("/teams/permissions").json()] == ["deploy", "manage", "operate", "view"]
    assert ann.get("/teams/acme-two/features").json() == []
    preferences = ann.get("/teams/acme-two/preferences").json()
    assert ann.patch("/teams/acme-two/preferences", preferences).json() == preferences
    assert ann.post("/teams/acme-two/members", {"email": "eve@example.com", "role": "member"}).status_code == 201
    assert ann.delete("/teams/acme-two/members/eve@example.com").status_code == 200
    assert ann.get("/teams/acme-two/spaces").json() == []
    make_app = {"name": "lamp", "team": "acme-two"}
    assert ann.post("/teams/apps", make_app).status_code == 201
    assert "owns 1 apps" in ann.delete("/teams/acme-two").json()["message"]
    assert ann.delete("/apps/lamp").status_code == 200
    assert ann.delete("/teams/acme-two").status_code == 200
    assert ann.get("/teams").json() == []


def test_members(everyone: People, team: str) -> None:
    ann, bob = everyone.ann, everyone.bob
    assert {one["email"]: one["role"] for one in bob.get("/teams/acme/members").json()} == {
        "ann@example.com": "admin",
        "bob@example.com": "member",
    }
    changed = ann.patch("/teams/acme/members", {"email": "bob@example.com", "role": "viewer"})
    assert (changed.status_code, changed.json()["role"]) == (200, "viewer")
    assert ann.put("/teams/acme/members", {"email": "bob@example.com", "role": "member"}).status_code == 200
    for body, status in (
        ({"email": "nobody@example.com", "role": "member"}, 422),
        ({"email": "eve@example.com", "role": "king"}, 422),
        ({"email": "ann@example.com", "role": "member"}, 422),
    ):
        assert ann.put("/teams/acme/members", body).status_code == status
    assert ann.patch("/teams/acme/members", {"email": "eve@example.com", "role": "member"}).status_code == 404
    assert bob.put("/teams/acme/members", {"email": "eve@example.com", "role": "member"}).status_code == 403
    assert bob.delete("/teams/acme/members/ann@example.com").status_code == 403
    assert "last one" in ann.delete("/teams/acme/members/ann@example.com").json()["message"]
    assert bob.delete("/teams/acme/members/bob@example.com").json()["role"] == "member"
    assert bob.get("/teams/acme").status_code == 404


def test_invitations(everyone: People, team: str) -> None:
    ann, eve = everyone.ann, everyone.eve
    invited = ann.put("/teams/acme/invitations", {"email": "Eve@example.com", "role": "member"})
    assert invited.status_code == 201
    token = invited.json().pop("token")
    [pending] = ann.get("/teams/acme/invitations").json()
    assert (pending["user"]["email"], pending["invited_by"]["email"]) == ("eve@example.com", "ann@example.com")
    assert "token" not in pending
    path = f"/teams/invitations/{token}"
    assert everyone.bob.get(path).status_code == 403
    assert eve.get(path).json()["team"]["name"] == "acme"
    assert everyone.bob.post(f"{path}/accept").status_code == 403
    assert eve.post(f"{path}/accept").json()["role"] == "member"
    assert [one["name"] for one in eve.get("/teams").json()] == ["acme"]
    assert eve.post(f"{path}/accept").status_code == 404
    assert ann.put("/teams/acme/invitations", {"email": "eve@example.com", "role": "admin"}).status_code == 422

    token = ann.put("/teams/acme/invitations", {"email": "root@example.com", "role": "viewer"}).json()["token"]
    assert everyone.root.post(f"/teams/invitations/{token}/decline").status_code == 200
    assert everyone.root.get(f"/teams/invitations/{token}").status_code == 404
    made = ann.put("/teams/acme/invitations", {"email": "root@example.com", "role": "viewer"}).json()
    assert ann.delete(f"/teams/acme/invitations/{made['id']}").status_code == 200
    assert ann.get("/teams/acme/invitations").json() == []
    assert everyone.bob.put("/teams/acme/invitations", {"email": "x@example.com", "role": "member"}).status_code == 403


def test_apps_of_a_team(everyone: People, team: str) -> None:
    ann, bob, eve = everyone.ann, everyone.bob, everyone.eve
    app = make(bob, "lamp")
    assert app["owner"] == {"id": ann.get("/teams/acme").json()["id"], "email": "acme@herokumanager.com"}
    assert (app["team"], app["joined"], app["locked"]) == ({"id": app["owner"]["id"], "name": "acme"}, True, False)  # type: ignore[index]
    assert eve.post("/teams/apps", {"name": "other", "team": "acme"}).status_code == 404
    assert [one["name"] for one in ann.get("/teams/acme/apps").json()] == ["lamp"]
    assert ann.get("/teams/acme/apps").json()[0]["joined"] is False
    assert [one["name"] for one in ann.get("/apps").json()] == ["lamp"]
    assert ann.get("/users/~/apps").json() == []
    assert ann.post("/filters/apps", {"in": {"id": [app["id"]]}}).json()[0]["name"] == "lamp"
    assert eve.post("/filters/apps", {"in": {"id": [app["id"]]}}).json() == []
    assert eve.get("/apps/lamp").status_code == 403
    assert ann.get("/teams/apps/lamp").json()["name"] == "lamp"
    assert [one["name"] for one in ann.get("/teams/acme/members/bob@example.com/apps").json()] == ["lamp"]
    [entity] = ann.get("/teams/acme/permissions").json()
    assert entity["users"][0]["permissions"] == ["deploy", "manage", "operate", "view"]
    assert eve.post("/apps", {"name": "mine"}).status_code == 201
    assert everyone.eve.patch("/teams/apps/mine", {"locked": True}).status_code == 422


def test_what_roles_may_do(everyone: People, team: str, platform: Platform) -> None:
    ann, bob, eve = everyone.ann, everyone.bob, everyone.eve
    make(ann, "lamp")
    assert bob.get("/apps/lamp").status_code == 200, "a member sees the apps of the team"
    assert bob.patch("/apps/lamp/config-vars", {"A": "1"}).status_code == 403
    assert bob.get("/apps/lamp/config-vars").status_code == 403
    assert bob.delete("/apps/lamp").status_code == 403
    ann.patch("/teams/apps/lamp", {"locked": True})
    join = {"user": "bob@example.com"}
    assert bob.post("/teams/apps/lamp/collaborators", join).status_code == 403
    assert bob.patch("/teams/apps/lamp", {"locked": False}).status_code == 403
    ann.patch("/teams/apps/lamp", {"locked": False})
    joined = bob.post("/teams/apps/lamp/collaborators", {**join, "permissions": ["manage"]}).json()
    assert [one["name"] for one in joined["permissions"]] == ["deploy", "operate", "view"], "not more than anybody gets"
    assert joined["role"] == "member"
    shown = {one["user"]["email"]: one["role"] for one in ann.get("/apps/lamp/collaborators").json()}
    assert shown == {"ann@example.com": "admin", "bob@example.com": "member"}
    assert bob.patch("/apps/lamp/config-vars", {"A": "1"}).status_code == 200
    assert bob.delete("/apps/lamp").status_code == 403
    path = "/teams/apps/lamp/collaborators/bob@example.com"
    assert bob.patch(path, {"permissions": ["manage"]}).status_code == 403
    changed = ann.patch(path, {"permissions": ["view", "manage"]}).json()
    assert [one["name"] for one in changed["permissions"]] == ["manage", "view"]
    assert bob.patch("/apps/lamp/config-vars", {"A": "2"}).status_code == 403
    guest = bob.post("/teams/apps/lamp/collaborators", {"user": "eve@example.com", "permissions": ["deploy"]})
    assert guest.json()["role"] == "collaborator"
    assert eve.get("/teams").json()[0]["role"] == "collaborator"
    assert eve.get("/teams/acme/members").status_code == 403
    assert [one["name"] for one in eve.get("/teams/acme/apps").json()] == ["lamp"]
    make(ann, "other")
    assert [one["name"] for one in eve.get("/teams/acme/apps").json()] == ["lamp"]
    assert eve.get("/apps/other").status_code == 403
    assert {one["email"]: one["role"] for one in ann.get("/teams/acme/members").json()}[
        "eve@example.com"
    ] == "collaborator"
    assert bob.delete(path).status_code == 200
    ann.delete("/teams/acme/members/eve@example.com")
    assert eve.get("/apps/lamp").status_code == 403
    ann.patch("/teams/acme/members", {"email": "bob@example.com", "role": "viewer"})
    assert bob.get("/apps/lamp").status_code == 200
    assert bob.post("/teams/apps/lamp/collaborators", join).status_code == 403
    assert bob.post("/teams/apps", {"name": "mine", "team": "acme"}).status_code == 403
    user = people.find_user(platform.db, "bob@example.com")
    assert access.find_app(platform.db, user, "lamp").team is not None


def test_apps_change_hands(everyone: People, team: str) -> None:
    ann, bob = everyone.ann, everyone.bob
    ann.post("/apps", {"name": "shop"})
    assert bob.patch("/teams/apps/shop", {"owner": "acme"}).status_code == 403
    assert everyone.ann.patch("/teams/apps/shop", {"owner": "eve@example.com"}).status_code == 422
    given = ann.patch("/teams/apps/shop", {"owner": "acme"}).json()
    assert (given["team"]["name"], given["joined"]) == ("acme", True)
    assert bob.get("/apps/shop").status_code == 200
    back = ann.patch("/teams/apps/shop", {"owner": "bob@example.com"}).json()
    assert (back["team"], back["owner"]["email"]) == (None, "bob@example.com")
    assert bob.get("/users/~/apps").json()[0]["name"] == "shop"
    assert ann.patch("/apps/shop/config-vars", {"A": "1"}).status_code == 200, "she still collaborates"


def test_pipelines_of_a_team(everyone: People, team: str) -> None:
    ann, bob, eve = everyone.ann, everyone.bob, everyone.eve
    id = ann.get("/teams/acme").json()["id"]
    pipeline = bob.post("/pipelines", {"name": "line", "owner": {"id": id, "type": "team"}}).json()
    assert pipeline["owner"] == {"id": id, "type": "team"}
    assert eve.post("/pipelines", {"name": "mine", "owner": {"id": id, "type": "team"}}).status_code == 404
    assert ann.patch(f"/pipelines/{pipeline['id']}", {"name": "line-two"}).status_code == 200
    assert eve.get(f"/pipelines/{pipeline['id']}").status_code == 404
    assert bob.get("/teams/acme/pipeline-couplings").json() == []
    user = everyone.users["ann"].id
    body = {"pipeline": {"id": pipeline["id"]}, "new_owner": {"id": user, "type": "user"}}
    given = bob.post("/pipeline-transfers", body).json()
    assert (given["previous_owner"]["type"], given["new_owner"]["id"]) == ("team", user)
    assert bob.get(f"/pipelines/{pipeline['id']}").status_code == 404
