"""Log drains: where an app's log is sent to."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import apps as show
from pogo.services import drains

router = resource_router()


class NewDrain(Body):
    url: str


@router.get("/apps/{app}/log-drains")
def index(me: Me, app: TheApp) -> Response:
    return listing(me, drains.list_drains(me.platform.db, app), lambda row: show.drain(app, row), "created_at", "id")


@router.get("/apps/{app}/log-drains/{drain:path}")
def info(me: Me, app: TheApp, drain: str) -> Response:
    return answer(show.drain(app, drains.find_drain(me.platform.db, app, drain)))


@router.post("/apps/{app}/log-drains")
def add(me: Me, app: TheApp, body: NewDrain) -> Response:
    """It begins with what is said from now on."""
    last = me.platform.logs.recent(app.id, 1)
    position = last[-1][0] if last else ""
    row = drains.add_drain(me.platform.db, app, body.url, private=me.user.admin, position=position)
    me.platform.hints.wake("drains")
    return answer(show.drain(app, row), 201)


@router.delete("/apps/{app}/log-drains/{drain:path}")
def remove(me: Me, app: TheApp, drain: str) -> Response:
    row = drains.remove_drain(me.platform.db, app, drain)
    me.platform.hints.wake("drains")
    return answer(show.drain(app, row))
