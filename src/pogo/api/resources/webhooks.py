"""Webhooks of an app: subscriptions, events, deliveries."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import webhooks as show
from pogo.services import webhooks

router = resource_router()


class NewWebhook(Body):
    url: str
    include: list[str]
    level: str
    secret: str | None = None
    authorization: str | None = None


class WebhookChange(Body):
    url: str | None = None
    include: list[str] | None = None
    level: str | None = None
    secret: str | None = None
    authorization: str | None = None


@router.get("/apps/{app}/webhooks")
def index(me: Me, app: TheApp) -> Response:
    rows = webhooks.list_webhooks(me.platform.db, app)
    return listing(me, rows, lambda row: show.webhook(app, row), "created_at", "id")


@router.post("/apps/{app}/webhooks")
def add(me: Me, app: TheApp, body: NewWebhook) -> Response:
    """A secret that the platform made up is told in a header, once (Heroku)."""
    row = webhooks.add_webhook(
        me.platform.db,
        app,
        body.url,
        body.include,
        body.level,
        secret=body.secret,
        authorization=body.authorization,
        private=me.user.admin,
    )
    response = answer(show.webhook(app, row), 201)
    if not body.secret:
        response.headers["Heroku-Webhook-Secret"] = row.secret
    return response


@router.get("/apps/{app}/webhooks/{webhook}")
def info(me: Me, app: TheApp, webhook: str) -> Response:
    return answer(show.webhook(app, webhooks.find_webhook(me.platform.db, app, webhook)))


@router.patch("/apps/{app}/webhooks/{webhook}")
def update(me: Me, app: TheApp, webhook: str, body: WebhookChange) -> Response:
    given: dict[str, Any] = {key: value for key, value in body.model_dump().items() if value is not None}
    if "authorization" in body.model_fields_set:
        given["authorization"] = body.authorization
    row = webhooks.change_webhook(me.platform.db, app, webhook, given, private=me.user.admin)
    return answer(show.webhook(app, row))


@router.delete("/apps/{app}/webhooks/{webhook}")
def remove(me: Me, app: TheApp, webhook: str) -> Response:
    return answer(show.webhook(app, webhooks.remove_webhook(me.platform.db, app, webhook)))


@router.get("/apps/{app}/webhook-deliveries")
def deliveries(me: Me, app: TheApp) -> Response:
    return listing(me, webhooks.list_deliveries(me.platform.db, app), show.delivery, "seq", "id", "created_at")


@router.get("/apps/{app}/webhook-deliveries/{delivery}")
def delivery(me: Me, app: TheApp, delivery: str) -> Response:
    return answer(show.delivery(webhooks.find_delivery(me.platform.db, app, delivery)))


@router.get("/apps/{app}/webhook-events")
def events(me: Me, app: TheApp) -> Response:
    return listing(me, webhooks.list_events(me.platform.db, app), show.event, "seq", "id", "created_at")


@router.get("/apps/{app}/webhook-events/{event}")
def event(me: Me, app: TheApp, event: str) -> Response:
    return answer(show.event(webhooks.find_event(me.platform.db, app, event)))
