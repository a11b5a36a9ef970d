"""Webhooks: what is subscribed to, told in the same transaction, and delivered, signed, until it is there."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from api_rig import Client, People, deploy

from pogo.loops.webhooks import Webhooks, deliver
from pogo.model import App, Release, WebhookDelivery, utcnow
from pogo.rules import webhooks as rules
from pogo.services import apps, builds, dynos, webhooks
from pogo.services.platform import Platform

ALL = list(rules.EVENTS)


@dataclass
class Receiver:
    """A server that remembers what it is sent and answers with the statuses that it is told to, then 200."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(state.answers.pop(0) if state.answers else 200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/in?x=1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def subscribe(client: Client, url: str, *include: str, level: str = "notify", **more: Any) -> Any:
    return client.post("/apps/shop/webhooks", {"url": url, "include": list(include), "level": level, **more})


def told(client: Client) -> list[tuple[str, str]]:
    return [(one["include"], one["payload"]["action"]) for one in client.get("/apps/shop/webhook-events").json()]


def send(platform: Platform) -> None:
    """Everything that is due, now."""
    for id in webhooks.due(platform.db):
        asyncio.run(deliver(platform, id, lambda: True))


def make_due(platform: Platform) -> None:
    with platform.db.write() as session:
        for row in session.query(WebhookDelivery).filter(WebhookDelivery.next_at.is_not(None)):
            row.next_at = utcnow() - timedelta(seconds=1)


def test_a_subscription_from_first_to_last(ann: Client, app: App) -> None:
    made = subscribe(ann, "https://hooks.example.com/in", "api:release", "dyno")
    assert made.status_code == 201
    assert len(made.headers["Heroku-Webhook-Secret"]) == 64
    hook = made.json()
    assert (hook["include"], hook["level"]) == (["api:release", "dyno"], "notify")
    path = f"/apps/shop/webhooks/{hook['id']}"
    assert ann.get(path).json() == hook
    assert ann.get("/apps/shop/webhooks").json() == [hook]
    changed = ann.patch(path, {"level": "sync", "include": ["api:build"]}).json()
    assert (changed["url"], changed["include"], changed["level"]) == (hook["url"], ["api:build"], "sync")
    assert ann.delete(path).status_code == 200
    assert ann.get("/apps/shop/webhooks").json() == []
    assert ann.get(path).status_code == 404
    assert "Heroku-Webhook-Secret" not in subscribe(ann, "https://x.example.com", "dyno", secret="s").headers


def test_what_is_refused(everyone: People, app: App) -> None:
    for url, include, level in (
        ("ftp://x", ["dyno"], "notify"),
        ("https://", ["dyno"], "notify"),
        ("https://x.example.com", [], "notify"),
        ("https://x.example.com", ["api:nothing"], "notify"),
        ("https://x.example.com", ["dyno"], "loud"),
    ):
        assert (
            everyone.ann.post("/apps/shop/webhooks", {"url": url, "include": include, "level": level}).status_code
            == 422
        )
    assert subscribe(everyone.ann, "https://x.example.com", "dyno", authorization="a\r\nb").status_code == 422
    assert everyone.eve.get("/apps/shop/webhooks").status_code == 403
    for _ in range(rules.MOST):
        subscribe(everyone.ann, "https://x.example.com", "dyno")
    assert "the most" in subscribe(everyone.ann, "https://x.example.com", "dyno").json()["message"]


def test_everything_that_changes_is_told(everyone: People, app: App, platform: Platform) -> None:
    ann, db = everyone.ann, platform.db
    subscribe(ann, "https://hooks.example.com/in", *ALL)
    deploy(db, app, everyone.users["ann"])
    ann.patch("/apps/shop/config-vars", {"A": "1"})
    ann.patch("/apps/shop/formation/web", {"quantity": 2})
    ann.post("/apps/shop/domains", {"hostname": "www.example.com"})
    ann.delete("/apps/shop/domains/www.example.com")
    ann.post("/apps/shop/collaborators", {"user": "eve@example.com"})
    ann.patch("/apps/shop", {"maintenance": True})
    ann.patch("/apps/shop", {"maintenance": True})
    assert sorted(told(ann)) == [
        ("api:app", "update"),
        ("api:build", "create"),
        ("api:build", "update"),
        ("api:collaborator", "create"),
        ("api:domain", "create"),
        ("api:domain", "destroy"),
        ("api:formation", "create"),
        ("api:formation", "create"),
        ("api:formation", "update"),
        ("api:release", "create"),
        ("api:release", "create"),
    ]
    scaled = next(
        one["payload"]
        for one in ann.get("/apps/shop/webhook-events").json()
        if (one["include"], one["payload"]["action"]) == ("api:formation", "update")
    )
    assert (scaled["data"]["quantity"], scaled["previous_data"]) == (2, {"quantity": 1})
    assert scaled["actor"] == {"id": everyone.users["ann"].id, "email": "ann@example.com"}
    assert scaled["data"]["app"]["name"] == "shop"


def test_states_of_dynos_and_failed_builds(everyone: People, app: App, release: Release, platform: Platform) -> None:
    ann, db = everyone.ann, platform.db
    subscribe(ann, "https://hooks.example.com/in", "dyno", "api:dyno", "api:build")
    dyno, _ = dynos.run(db, app, dynos.RunRequest("bash"))
    assert dynos.change(db, dyno.id, "starting", state="up")
    assert dynos.change(db, dyno.id, "up", state="draining")
    assert not dynos.change(db, dyno.id, "up", state="crashed")
    assert sorted(told(ann)) == [("api:dyno", "create"), ("dyno", "create"), ("dyno", "update")]
    builds.start_build(db, app, everyone.users["ann"], "sources/x", None)
    build = builds.claim_build(db, "node")
    assert build
    builds.fail_build(db, build, "no")
    last = ann.get("/apps/shop/webhook-events").json()[-1]["payload"]
    assert (last["data"]["status"], last["previous_data"]) == ("failed", {"status": "pending"})


def test_a_change_that_fails_is_not_told(ann: Client, app: App, platform: Platform) -> None:
    subscribe(ann, "https://hooks.example.com/in", *ALL)

    def break_off() -> None:
        with platform.db.write() as session:
            session.get_one(App, app.id).maintenance = True
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert told(ann) == []


def test_a_delivery_is_signed(everyone: People, app: App, platform: Platform, receiver: Receiver) -> None:
    root = everyone.root
    hook = subscribe(root, receiver.url, "api:app", level="sync", secret="shh", authorization="Bearer 1").json()
    root.patch("/apps/shop", {"maintenance": True})
    [waiting] = root.get("/apps/shop/webhook-deliveries", Range="seq ..; order=desc,max=1000").json()
    assert (waiting["status"], waiting["num_attempts"], waiting["last_attempt"]) == ("pending", 0, None)
    send(platform)
    [(headers, body)] = receiver.got
    expected = b64encode(hmac.new(b"shh", body, hashlib.sha256).digest()).decode()
    assert headers["heroku-webhook-hmac-sha256"] == expected
    assert headers["authorization"] == "Bearer 1"
    assert headers["content-type"] == "application/json"
    got = json.loads(body)
    assert (got["resource"], got["action"], got["data"]["maintenance"]) == ("app", "update", True)
    assert got["previous_data"] == {"maintenance": False}
    delivery = root.get(f"/apps/shop/webhook-deliveries/{waiting['id']}").json()
    assert got["webhook_metadata"] == {
        "attempt": {"id": delivery["last_attempt"]["id"]},
        "delivery": {"id": delivery["id"]},
        "event": {"id": delivery["event"]["id"], "include": "api:app"},
        "webhook": {"id": hook["id"]},
    }
    assert (delivery["status"], delivery["last_attempt"]["code"]) == ("succeeded", 200)
    assert root.get(f"/apps/shop/webhook-events/{delivery['event']['id']}").json()["payload"]["actor"]["email"]


def test_sync_is_tried_again_and_notify_is_not(
    everyone: People, app: App, platform: Platform, receiver: Receiver
) -> None:
    root = everyone.root
    for level in rules.LEVELS:
        subscribe(root, receiver.url, "api:app", level=level)
    root.patch("/apps/shop", {"maintenance": True})
    receiver.answers[:] = [500, 503, 410]
    send(platform)
    by_level = {one["webhook"]["level"]: one for one in root.get("/apps/shop/webhook-deliveries").json()}
    assert (by_level["notify"]["status"], by_level["notify"]["next_attempt_at"]) == ("failed", None)
    assert (by_level["sync"]["status"], by_level["sync"]["num_attempts"]) == ("retrying", 1)
    assert webhooks.due(platform.db) == [], "only after a pause"
    earliest = webhooks.earliest(platform.db)
    assert earliest is not None and earliest > utcnow()
    make_due(platform)
    send(platform)
    make_due(platform)
    send(platform)
    path = f"/apps/shop/webhook-deliveries/{by_level['sync']['id']}"
    assert (root.get(path).json()["status"], root.get(path).json()["num_attempts"]) == ("succeeded", 3)
    bodies = [json.loads(body) for _, body in receiver.got]
    ids = {body["webhook_metadata"]["delivery"]["id"] for body in bodies[-2:]}
    assert ids == {by_level["sync"]["id"]}, "the same delivery"


def test_users_do_not_reach_the_network_of_the_machine(
    everyone: People, app: App, platform: Platform, receiver: Receiver
) -> None:
    subscribe(everyone.ann, receiver.url, "api:app")
    everyone.ann.patch("/apps/shop", {"maintenance": True})
    send(platform)
    [delivery] = everyone.ann.get("/apps/shop/webhook-deliveries").json()
    assert (delivery["status"], delivery["last_attempt"]["code"]) == ("failed", None)
    assert "not a public server" in delivery["last_attempt"]["error_class"]
    assert receiver.got == []


def test_the_end_of_an_app_is_told(everyone: People, app: App, platform: Platform, receiver: Receiver) -> None:
    subscribe(everyone.root, receiver.url, "api:app", level="sync")
    everyone.ann.delete("/apps/shop")
    apps.forget_app(platform.db, app.id)
    webhooks.prune(platform.db)

    async def turn() -> None:
        loop = Webhooks(platform)
        async with asyncio.timeout(20):
            while not receiver.got:
                await loop.turn()
                await asyncio.sleep(0.02)
            while webhooks.earliest(platform.db) is not None:
                await asyncio.sleep(0.02)

    asyncio.run(turn())
    got = json.loads(receiver.got[0][1])
    assert (got["action"], got["data"]["name"]) == ("destroy", "shop")
    webhooks.prune(platform.db)
    with platform.db.read() as session:
        assert session.query(WebhookDelivery).count() == 0


def test_the_queue_is_bounded(everyone: People, app: App, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "WAITING", 2)
    monkeypatch.setattr(rules, "KEPT", 3)
    ann = everyone.ann
    subscribe(ann, "https://hooks.example.com/in", "api:app", level="sync")
    for number in range(5):
        ann.patch("/apps/shop", {"maintenance": number % 2 == 0})
    statuses = [one["status"] for one in ann.get("/apps/shop/webhook-deliveries").json()]
    assert statuses == ["failed"] * 3
    webhooks.prune(platform.db)
    with platform.db.read() as session:
        rows = {row.status for row in session.query(WebhookDelivery)}
        assert rows == {"pending", "failed"}, "what waits is not forgotten"
