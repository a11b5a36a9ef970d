"""SSH keys, OAuth authorizations and clients, apps that change hands, preferences, the audit record."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from api_rig import Client, People
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import update

from pogo.model import App, AuditEvent, Release, utcnow
from pogo.services import audit
from pogo.services.database import Database

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ"


def test_keys(everyone: People) -> None:
    ann = everyone.ann
    assert ann.get("/account/keys").json() == []
    made = ann.post("/account/keys", {"public_key": f"{KEY} ann@laptop of hers\n"})
    assert made.status_code == 201
    key = made.json()
    assert (key["comment"], key["email"]) == ("ann@laptop of hers", "ann@example.com")
    assert key["public_key"] == f"{KEY} ann@laptop of hers"
    assert len(key["fingerprint"]) == 47 and key["fingerprint"].count(":") == 15
    assert ann.get(f"/account/keys/{key['fingerprint']}").json() == ann.get(f"/account/keys/{key['id']}").json() == key
    assert ann.post("/account/keys", {"public_key": KEY}).json()["message"] == "You have this key already."
    assert everyone.bob.post("/account/keys", {"public_key": KEY}).status_code == 201, "others may have it, too"
    assert everyone.bob.delete(f"/account/keys/{key['id']}").status_code == 404
    assert ann.delete(f"/account/keys/{key['id']}").json()["id"] == key["id"]
    assert ann.get("/account/keys").json() == []


def test_what_is_no_key(everyone: People) -> None:
    weak = rsa.generate_private_key(65537, 1024).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    kind, blob = KEY.split()
    for text, said in (
        ("", "one line"),
        ("hello", "one line"),
        (f"{KEY}\n{KEY}", "one line"),
        (f"{kind} ====", "damaged"),
        (f"ssh-rsa {blob}", "damaged"),
        (f"{kind} {blob[:40]}", "cannot be used"),
        ("ssh-nothing AAAAC3NzaC1ub3RoaW5nAAAA", "cannot be used"),
        (weak.decode(), "too weak"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
    ):
        answer = everyone.ann.post("/account/keys", {"public_key": text})
        assert answer.status_code == 422 and said in answer.json()["message"], (text, answer.text)


def test_authorizations_change(everyone: People) -> None:
    ann = everyone.ann
    made = ann.post("/oauth/authorizations", {"description": "ci", "scope": ["read"], "expires_in": 1000}).json()
    path = f"/oauth/authorizations/{made['id']}"
    assert ann.patch(path, {"description": "robot"}).json()["description"] == "robot"
    ci = Client(ann.http, ann.schema, made["access_token"]["token"])
    assert ci.get("/apps").status_code == 200
    new = ann.post(f"{path}/actions/regenerate-tokens").json()
    assert new["access_token"]["token"] != made["access_token"]["token"]
    assert 990 < new["access_token"]["expires_in"] <= 1001
    assert ci.get("/apps").status_code == 401
    ci.token = new["access_token"]["token"]
    assert ci.get("/apps").headers["oauth-scope"] == "read"
    for other in (
        everyone.bob.patch(path, {"description": "x"}),
        everyone.bob.post(f"{path}/actions/regenerate-tokens"),
    ):
        assert other.status_code == 404
    client = ann.post("/oauth/clients", {"name": "c", "redirect_uri": "http://localhost:3000/cb"}).json()
    assert ann.patch(path, {"client": {"id": client["id"], "secret": "wrong"}}).status_code == 401
    assert ann.patch(path, {"client": {"id": client["id"], "secret": client["secret"]}}).json()["client"]["name"] == "c"
    granted = ann.post("/oauth/authorizations", {"client": client["id"], "scope": ["identity"]}).json()
    assert granted["access_token"] is None and granted["grant"]["expires_in"] <= 300


def test_clients(everyone: People, db: Database) -> None:
    ann = everyone.ann
    made = ann.post("/oauth/clients", {"name": "c", "redirect_uri": "https://c.example.com/cb"}).json()
    path = f"/oauth/clients/{made['id']}"
    assert ann.get("/oauth/clients").json() == [made] == [ann.get(path).json()]
    assert ann.patch(path, {"name": "d"}).json()["name"] == "d"
    assert ann.post(f"{path}/actions/rotate-credentials").json()["secret"] != made["secret"]
    assert everyone.bob.get(path).status_code == everyone.bob.delete(path).status_code == 404
    for uri in (
        "http://c.example.com/",
        "javascript:alert(1)",
        "https://",
        "ftp://x/",
        "https://a b/",
        "http://localhost@evil/",
    ):
        answer = ann.post("/oauth/clients", {"name": "c", "redirect_uri": uri})
        assert answer.status_code == 422 and "redirect_uri" in answer.json()["message"], uri
    with db.engine.connect() as connection:
        (secret,) = connection.exec_driver_sql("SELECT secret FROM oauth_clients").fetchone() or ("",)
    assert made["secret"].encode() not in secret, "it is encrypted"
    assert ann.delete(path).status_code == 200
    assert ann.get("/oauth/clients").json() == []


def test_an_app_changes_hands(everyone: People, app: App) -> None:
    ann, bob, eve = everyone.ann, everyone.bob, everyone.eve
    body = {"app": "shop", "recipient": "bob@example.com"}
    assert bob.post("/account/app-transfers", body).status_code == 403
    assert ann.post("/account/app-transfers", body | {"recipient": "none@example.com"}).status_code == 422
    assert ann.post("/account/app-transfers", body | {"recipient": "ann@example.com"}).status_code == 422
    made = ann.post("/account/app-transfers", body)
    assert (made.status_code, made.json()["state"]) == (201, "pending")
    path = f"/account/app-transfers/{made.json()['id']}"
    assert ann.post("/account/app-transfers", body).status_code == 422, "one at a time"
    assert bob.get("/account/app-transfers").json() == [bob.get(path).json()] == [ann.get(path).json()]
    assert eve.get(path).status_code == eve.patch(path, {"state": "accepted"}).status_code == 404
    assert ann.patch(path, {"state": "accepted"}).status_code == 403
    assert bob.patch(path, {"state": "pending"}).status_code == 422
    assert bob.delete(path).status_code == 403
    assert bob.patch(path, {"state": "declined"}).json()["state"] == "declined"
    assert bob.patch(path, {"state": "accepted"}).status_code == 422
    assert ann.post("/account/app-transfers", body).status_code == 201
    assert ann.delete("/account/app-transfers/shop").status_code == 200
    assert ann.post("/account/app-transfers", body).status_code == 201
    assert bob.patch("/account/app-transfers/shop", {"state": "accepted"}).json()["state"] == "accepted"
    assert bob.get("/apps/shop").json()["owner"]["email"] == "bob@example.com"
    roles = {one["user"]["email"]: one["role"] for one in bob.get("/apps/shop/collaborators").json()}
    assert roles == {"bob@example.com": "owner", "ann@example.com": "collaborator"}
    assert ann.delete("/apps/shop").status_code == 403
    assert bob.get("/apps/shop").json()["name"] == "shop"


def test_a_transfer_of_an_app_with_another_owner_by_now(everyone: People, app: App) -> None:
    ann, bob, root = everyone.ann, everyone.bob, everyone.root
    ann.post("/account/app-transfers", {"app": "shop", "recipient": "bob@example.com"})
    assert root.post("/account/app-transfers", {"app": "shop", "recipient": "root@example.com"}).status_code == 422
    ann.delete("/account/app-transfers/shop")
    taken = root.post("/account/app-transfers", {"app": "shop", "recipient": "root@example.com"}).json()
    assert taken["state"] == "accepted", "the operator takes an app at once"
    assert bob.get("/apps/shop").json()["owner"]["email"] == "root@example.com"


def test_preferences(everyone: People) -> None:
    ann = everyone.ann
    assert set(ann.get("/users/~/preferences").json().values()) == {None}
    changed = ann.patch("/users/~/preferences", {"timezone": "UTC", "dismissed-sms-banner": True, "other": 1}).json()
    assert (changed["timezone"], changed["dismissed-sms-banner"], "other" in changed) == ("UTC", True, False)
    assert ann.patch("/users/~/preferences", {"timezone": None}).json()["timezone"] is None
    assert ann.get("/users/ann@example.com/preferences").json()["dismissed-sms-banner"] is True
    assert ann.patch("/users/~/preferences", {"timezone": 5}).status_code == 422
    assert everyone.bob.get("/users/ann@example.com/preferences").status_code == 404
    assert ann.get("/account/delinquency").json()["scheduled_deletion_time"] is None
    assert ann.get("/users/~/sms-number").json() == {"sms_number": None}


def events(everyone: People, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = everyone.root.get(f"/audit-events{query}", Range="number ..; order=desc").json()
    return found


def test_the_audit_record(everyone: People, app: App, release: Release, db: Database) -> None:
    ann = everyone.ann
    headers = {"User-Agent": "heroku-cli/11.10.0", "Request-Id": "a-request"}
    ann.call("PATCH", "/apps/shop/config-vars", {"SECRET": "hush"}, **headers)
    last = events(everyone)[0]
    assert last["action"] == "PATCH /apps/{app}/config-vars"
    assert (last["actor"]["email"], last["app"]["name"]) == ("ann@example.com", "shop")
    assert (last["user_agent"], last["request_id"], last["ip"]) == ("heroku-cli/11.10.0", "a-request", "testclient")
    assert {(one["type"], one["change"]) for one in last["changes"]} >= {("apps", "update"), ("releases", "create")}
    assert "hush" not in json.dumps(events(everyone)) and "SECRET" not in json.dumps(last["changes"])
    before = len(events(everyone))
    for path in ("/apps/shop", "/apps/shop/config-vars", "/apps"):
        ann.get(path)
    ann.patch("/apps/none/config-vars", {"A": "1"})
    everyone.eve.patch("/apps/shop/config-vars", {"A": "1"})
    assert len(events(everyone)) == before, "nothing was changed, nothing is told"
    ann.delete("/apps/shop/collaborators/bob@example.com")
    ann.post("/account/keys", {"public_key": KEY})
    assert [one["action"] for one in events(everyone)[:2]] == [
        "POST /account/keys",
        "DELETE /apps/{app}/collaborators/{user}",
    ]
    assert {one["actor"]["email"] for one in events(everyone, "?user=bob@example.com")} == set()
    assert {one["app"]["name"] for one in events(everyone, "?app=shop")} == {"shop"}
    number = events(everyone)[0]["number"]
    assert everyone.root.get(f"/audit-events/{number}").json()["number"] == number
    assert everyone.root.get("/audit-events/999999").status_code == 404
    paged = everyone.root.get("/audit-events", Range="number ..; order=desc, max=1")
    assert paged.status_code == 206 and paged.headers["next-range"].startswith("number ]")


def test_the_audit_record_is_of_the_same_transaction(everyone: People, app: App, db: Database) -> None:
    before = len(events(everyone))
    everyone.ann.post("/apps", {"name": "shop"})
    assert len(events(everyone)) == before, "what is undone is not told"


def test_the_audit_record_is_bounded(everyone: People, app: App, db: Database, monkeypatch: Any) -> None:
    for number in range(5):
        everyone.ann.patch("/account", {"name": f"Ann {number}"})
    last = events(everyone)[0]["number"]
    with db.write() as session:
        old = update(AuditEvent).where(AuditEvent.number == last - 1)
        session.execute(old.values(created_at=utcnow() - timedelta(days=400)))
    audit.prune(db, 365)
    assert [one["number"] for one in events(everyone)][:2] == [last, last - 2]
    monkeypatch.setattr(audit, "MOST", 2)
    audit.prune(db, 365)
    assert [one["number"] for one in events(everyone)] == [last]
