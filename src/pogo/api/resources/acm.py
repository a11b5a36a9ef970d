"""Certificates that the platform gets for an app's domains by itself (Heroku's ACM)."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.show import apps as show
from pogo.model import App
from pogo.services import acme, releases

router = resource_router()


class Refresh(Body):
    acm_refresh: bool = False


@router.post("/apps/{app}/acm")
def enable(me: Me, app: TheApp, body: dict[str, Any] | None = None) -> Response:
    app = acme.switch(me.platform.db, me.platform.settings, app, on=True)
    announce.note(me, app, "Enable automatic certificates")
    return _answer(me, app)


@router.patch("/apps/{app}/acm")
def refresh(me: Me, app: TheApp, body: Refresh = Refresh()) -> Response:
    if body.acm_refresh:
        acme.refresh(me.platform.db, app)
    return _answer(me, app)


@router.delete("/apps/{app}/acm")
def disable(me: Me, app: TheApp) -> Response:
    app = acme.switch(me.platform.db, me.platform.settings, app, on=False)
    announce.note(me, app, "Disable automatic certificates")
    return _answer(me, app)


def _answer(me: Caller, app: App) -> Response:
    me.platform.hints.wake("certificates", "acme")
    size = releases.slug_sizes(me.platform.db, [app.id]).get(app.id)
    return answer(show.app(me.platform.settings, app, size))
