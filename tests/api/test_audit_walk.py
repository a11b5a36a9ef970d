"""Every operation that changes something leaves a record of who did what from where."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_rig import People, queue
from operations import OF_AN_APP
from sqlalchemy import update

from pogo.model import App, Dyno, Release
from pogo.services import audit, dynos
from pogo.services.database import Database

# They change nothing: a place to put a file, lines of a log; or they need what nobody has here.
NO_CHANGE = {
    "POST /addons",  # there are none
    "POST /log-sessions",
    "POST /sources",
    "POST /builds",  # test_builds.py
    "DELETE /builds/{build}",  # below
    "POST /dynos/{dyno}",  # these three: test_inside.py
    "POST /dynos/{dyno}/actions/copy",
    "POST /dynos/{dyno}/actions/forward",
    "POST /sni-endpoints",
    "PATCH /sni-endpoints/{endpoint}",
    "DELETE /sni-endpoints/{endpoint}",
    "POST /acm",
    "PATCH /acm",
    "DELETE /acm",
    "PATCH /domains/{domain}",
}
BODIES: dict[str, Any] = {
    "POST /domains": {"hostname": "www.example.com", "sni_endpoint": None},
    "POST /collaborators": {"user": "eve@example.com"},
    "PATCH /collaborators/{user}": {"permissions": ["view"]},
    "PUT /buildpack-installations": {"updates": [{"buildpack": "heroku/nodejs"}]},
    "PATCH /checks": {"ready_path": "/up"},
    "PATCH /formation": {"updates": [{"type": "web", "quantity": 2}]},
    "POST /log-drains": {"url": "https://logs.example.com/x"},
    "POST /releases": {"release": "v2"},
    "PATCH /router": {"https_only": True},
    "POST /webhooks": {"url": "https://hooks.example.com/x", "include": ["api:app"], "level": "notify"},
    "PATCH /webhooks/{webhook}": {"level": "sync"},
    "PATCH /features/{feature}": {"enabled": True},
}
FEATURE = "log-runtime-metrics"


@pytest.fixture
def dyno(db: Database, app: App, release: Release) -> str:
    with db.write() as session:
        row = Dyno(app_id=app.id, release_id=release.id, kind="formation", type="web", number=1)
        row.size, row.command, row.state, row.state_at = "Basic", "x", "up", app.created_at
        session.add(row)
    return dynos.list_dynos(db, app)[0].name


def test_whatever_changes_an_app_is_on_record(everyone: People, app: App, dyno: str, db: Database) -> None:
    changing = [key for key in OF_AN_APP if not key.startswith("GET") and key not in NO_CHANGE]
    ids = {"dyno": dyno, "type": "web", "user": "eve@example.com", "feature": FEATURE, "domain": "www.example.com"}
    order = ("POST ", "PUT ", "PATCH ", "DELETE /", "DELETE ")
    changing.sort(key=lambda key: next(n for n, start in enumerate(order) if key.startswith(start)))
    silent = []
    for key in changing:
        method, _, path = key.partition(" ")
        filled = re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], path)
        body = BODIES.get(key, OF_AN_APP[key][2])
        with db.write() as session:
            session.execute(update(Dyno).values(retired=None))  # what is stopping already does not change
        answer: Any = everyone.ann.http.request(
            method, f"/apps/shop{filled}", json=body, headers={"Authorization": f"Bearer {everyone.ann.token}"}
        )
        assert answer.status_code < 300, (key, answer.text)
        if method == "POST" and path in ("/log-drains", "/webhooks"):
            ids[path[1:].removeprefix("log-").removesuffix("s")] = answer.json()["id"]
        event = audit.events(db, limit=1)[0]
        if event.action.replace(":path", "") != f"{method} /apps/{{app}}{path}":
            silent.append(key)
            continue
        assert (event.email, event.app_name, event.ip != "") == ("ann@example.com", "shop", True), key
        assert event.changes and event.request_id and event.authorization_id, key
    assert silent == []


def test_whatever_changes_something_else_is_on_record(
    everyone: People, app: App, release: Release, db: Database
) -> None:
    """Accounts, teams, pipelines and what the operator does; in an order in which each can be done."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann@laptop"
    steps: tuple[tuple[str, str, Any, str], ...] = (
        ("ann", "PATCH /account", {"name": "Ann"}, ""),
        ("ann", "POST /account/keys", {"public_key": key}, "key"),
        ("ann", "DELETE /account/keys/{key}", None, ""),
        ("ann", "POST /oauth/clients", {"name": "c", "redirect_uri": "https://c.example.com/"}, "client"),
        ("ann", "PATCH /oauth/clients/{client}", {"name": "d"}, ""),
        ("ann", "POST /oauth/clients/{client}/actions/rotate-credentials", None, ""),
        ("ann", "DELETE /oauth/clients/{client}", None, ""),
        ("ann", "POST /oauth/authorizations", {"description": "x"}, "authorization"),
        ("ann", "PATCH /oauth/authorizations/{authorization}", {"description": "y"}, ""),
        ("ann", "DELETE /oauth/authorizations/{authorization}", None, ""),
        ("ann", "POST /account/two-factor", {"password": "correct horse"}, ""),
        ("ann", "POST /account/app-transfers", {"app": "shop", "recipient": "bob@example.com"}, "transfer"),
        ("ann", "DELETE /account/app-transfers/{transfer}", None, ""),
        ("ann", "POST /teams", {"name": "guild"}, "team"),
        ("ann", "PATCH /teams/{team}", {"name": "guild-two"}, ""),
        ("ann", "PUT /teams/{team}/members", {"email": "bob@example.com", "role": "member"}, ""),
        ("ann", "PUT /teams/{team}/invitations", {"email": "eve@example.com", "role": "member"}, "invitation"),
        ("ann", "DELETE /teams/{team}/invitations/{invitation}", None, ""),
        ("ann", "DELETE /teams/{team}", None, ""),
        ("ann", "POST /pipelines", {"name": "line"}, "pipeline"),
        ("ann", "PATCH /pipelines/{pipeline}", {"name": "line-two"}, ""),
        ("ann", "PATCH /pipelines/{pipeline}/stage/{stage}/config-vars", {"A": "1"}, ""),
        ("ann", "POST /pipeline-couplings", {"app": "shop", "pipeline": "line-two", "stage": "staging"}, "coupling"),
        ("ann", "PATCH /pipeline-couplings/{coupling}", {"stage": "production"}, ""),
        ("ann", "DELETE /pipeline-couplings/{coupling}", None, ""),
        ("ann", "DELETE /pipelines/{pipeline}", None, ""),
        ("ann", "DELETE /apps/{app}/builds/{build}", None, ""),
        ("root", "POST /invitations", {"email": "new@example.com"}, "invite"),
        ("root", "POST /users", {"email": "x@example.com", "password": "words and words"}, "user"),
        ("root", "POST /password-resets", {"email": "x@example.com"}, ""),
        ("root", "DELETE /users/{user}", None, ""),
        ("root", "POST /buildpack-mirrors", {"prefix": "https://a.example/", "url": "https://b.example/"}, "mirror"),
        ("root", "DELETE /buildpack-mirrors/{mirror}", None, ""),
    )
    ids = {"app": "shop", "stage": "review", "build": queue(db, app, everyone.users["ann"]).id}
    silent = []
    for who, operation, body, makes in steps:
        method, _, path = operation.partition(" ")
        client = getattr(everyone, who)
        before = audit.events(db, limit=1)
        answer: Any = client.http.request(
            method,
            re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], path),
            json=body,
            headers={"Authorization": f"Bearer {client.token}"},
        )
        assert answer.status_code < 300, (operation, answer.text)
        if makes:
            ids[makes] = answer.json()["id"]
        event = audit.events(db, limit=1)[0]
        if event.action != operation or (before and event.number == before[0].number):
            silent.append(operation)
            continue
        assert (event.email, event.ip != "") == (f"{who}@example.com", True), operation
        assert event.changes and event.request_id and event.authorization_id, operation
    assert silent == []
