"""Config vars of an app and of its releases."""

from __future__ import annotations

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer
from pogo.api.bodies import resource_router
from pogo.api.caller import Me, TheApp
from pogo.services import releases

router = resource_router()


@router.get("/apps/{app}/config-vars")
def info(app: TheApp) -> Response:
    return answer(app.config)


@router.patch("/apps/{app}/config-vars")
def update(me: Me, app: TheApp, body: dict[str, str | None]) -> Response:
    before = releases.latest_release(me.platform.db, app.id)
    config = releases.change_config(me.platform.db, app, me.user, dict(body))
    latest = releases.latest_release(me.platform.db, app.id)
    if latest.version > before.version:
        announce.released(me, app, latest)
    return answer(config)


@router.get("/apps/{app}/releases/{release}/config-vars")
def of_release(me: Me, app: TheApp, release: str) -> Response:
    return answer(releases.find_release(me.platform.db, app, release).config)
