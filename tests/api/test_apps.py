"""Apps, collaborators, domains."""

from __future__ import annotations

from api_rig import Client, People, RecordedHints

from pogo.model import App, Release
from pogo.services import access
from pogo.services.platform import Platform


def test_an_app_is_made_shown_changed_and_destroyed(everyone: People, hints: RecordedHints) -> None:
    ann = everyone.ann
    made = ann.post("/apps", {"name": "shop", "region": "us", "stack": "heroku-22", "unknown": 1})
    assert made.status_code == 201
    assert made.json()["web_url"] == "http://shop.localhost:8080/"
    assert made.json()["git_url"] == "https://localhost:8443/shop.git"
    assert made.json()["stack"]["name"] == "pogo-12"
    assert made.json()["owner"]["email"] == "ann@example.com"
    assert hints.taken() == {"router"}

    id = made.json()["id"]
    assert ann.get(f"/apps/{id}").json() == ann.get("/apps/shop").json()
    changed = ann.patch("/apps/shop", {"name": "store", "maintenance": True, "build_stack": "pogo-13"})
    assert (changed.json()["name"], changed.json()["maintenance"]) == ("store", True)
    assert hints.taken() == {"router"}
    assert ann.get("/apps/shop").status_code == 404

    assert ann.delete("/apps/store").json()["id"] == id
    assert hints.taken() == {"dynos", "router", "cleanup"}
    assert ann.get(f"/apps/{id}").status_code == 404
    assert ann.get("/apps").json() == []


def test_a_name_is_made_up(everyone: People) -> None:
    assert everyone.ann.post("/apps").json()["name"]
    assert everyone.ann.post("/apps", {"name": None}).status_code == 201


def test_lists_show_what_one_may_use(everyone: People, app: App, release: Release) -> None:
    everyone.eve.post("/apps", {"name": "hers"})
    for path in ("/apps", "/users/~/apps", "/users/ann@example.com/apps"):
        assert [(one["name"], one["slug_size"]) for one in everyone.ann.get(path).json()] == [("shop", 10)]
    assert [one["name"] for one in everyone.bob.get("/apps").json()] == ["shop"]
    assert [one["name"] for one in everyone.root.get("/apps").json()] == ["hers", "shop"]
    assert everyone.root.get("/users/~/apps").json() == []
    assert everyone.eve.get("/users/ann@example.com/apps").status_code == 404
    assert "extended" in everyone.ann.get("/apps/shop?extended=true").json()


BAD_APPS: list[tuple[object, int, str]] = [
    ({"name": 5}, 422, "Invalid request: `name` must be a string"),
    ({"name": "No"}, 422, "must start with a letter"),
    ({"name": "shop"}, 422, "Name shop is already taken"),
    ({"stack": "cedar"}, 422, "No such stack"),
    ({"region": "mars"}, 422, "Region mars is not available"),
    ([], 422, "the body must be an object"),
]


def test_bad_apps(ann: Client) -> None:
    for body, status, text in BAD_APPS:
        answer = ann.post("/apps", body)
        assert (answer.status_code, answer.json()["id"]) == (status, "invalid_params")
        assert text in answer.json()["message"]


def test_only_the_owner_renames_and_destroys(everyone: People, app: App) -> None:
    assert everyone.bob.patch("/apps/shop", {"maintenance": True}).status_code == 200
    assert everyone.bob.patch("/apps/shop", {"name": "other"}).status_code == 403
    assert everyone.bob.delete("/apps/shop").status_code == 403
    assert everyone.root.patch("/apps/shop", {"name": "other"}).status_code == 200


def test_collaborators(everyone: People, app: App, platform: Platform) -> None:
    ann, eve = everyone.ann, everyone.eve
    listed = ann.get("/apps/shop/collaborators").json()
    assert [(one["user"]["email"], one["role"]) for one in listed] == [
        ("ann@example.com", "owner"),
        ("bob@example.com", "collaborator"),
    ]
    added = ann.post("/apps/shop/collaborators", {"user": "eve@example.com", "silent": True})
    assert added.status_code == 201
    assert eve.get("/apps/shop").status_code == 200
    assert ann.get("/apps/shop/collaborators/eve%40example.com").json() == added.json()
    assert ann.get("/apps/shop/collaborators/ann@example.com").json() == listed[0]
    assert eve.post("/apps/shop/collaborators", {"user": "root@example.com"}).status_code == 403
    assert eve.delete("/apps/shop/collaborators/bob@example.com").status_code == 403
    assert eve.delete("/apps/shop/collaborators/eve@example.com").status_code == 200
    assert ann.delete(f"/apps/shop/collaborators/{listed[1]['id']}").status_code == 200
    assert access.list_collaborators(platform.db, app) == []

    assert ann.post("/apps/shop/collaborators", {"user": "new@example.com"}).status_code == 422
    assert ann.post("/apps/shop/collaborators", {}).json()["message"] == "Invalid request: `user` is required"
    assert ann.delete("/apps/shop/collaborators/ann@example.com").status_code == 422
    assert ann.delete("/apps/shop/collaborators/none@example.com").status_code == 404
    assert ann.get("/apps/shop/collaborators/none@example.com").status_code == 404


def test_domains(ann: Client, hints: RecordedHints) -> None:
    own = ann.get("/apps/shop/domains").json()
    assert [(one["hostname"], one["kind"], one["cname"]) for one in own] == [("shop.localhost", "heroku", None)]
    assert ann.get("/apps/shop/domains/shop.localhost").json() == own[0]

    made = ann.post("/apps/shop/domains", {"hostname": "WWW.Example.com", "sni_endpoint": None})
    assert made.status_code == 201
    assert (made.json()["hostname"], made.json()["cname"]) == ("www.example.com", "shop.localhost")
    assert hints.taken() >= {"router"}
    assert len(ann.get("/apps/shop/domains", Range="id ..; max=1000;").json()) == 2
    assert ann.get(f"/apps/shop/domains/{made.json()['id']}").json() == made.json()
    assert ann.patch("/apps/shop/domains/www.example.com", {"sni_endpoint": None}).json() == made.json()
    assert ann.delete("/apps/shop/domains/www.example.com").json() == made.json()
    assert hints.taken() >= {"router"}

    assert ann.get("/apps/shop/domains/www.example.com").status_code == 404
    assert ann.delete("/apps/shop/domains/www.example.com").status_code == 404
    assert ann.delete("/apps/shop/domains/shop.localhost").status_code == 422
    assert ann.post("/apps/shop/domains", {"hostname": "nodots"}).status_code == 422
    assert ann.post("/apps/shop/domains", {"hostname": None}).status_code == 422
    assert ann.post("/apps/shop/domains", {"hostname": "a.example.com", "sni_endpoint": "x"}).status_code == 404
