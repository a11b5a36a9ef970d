"""The record of who changed what, for the operator."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import resource_router
from pogo.api.caller import Me
from pogo.api.show import people as show
from pogo.services import audit, people

router = resource_router()
LATEST = 10_000


@router.get("/audit-events")
def index(me: Me, user: str | None = None, app: str | None = None) -> Response:
    """The latest ones. user: e-mail or id. app: name or id. For the newest first: `Range: number ..; order=desc`."""
    people.require_admin(me.user)
    rows = audit.events(me.platform.db, user=user, app=app, limit=LATEST)
    return listing(me, rows, show.audit_event, "number", "id")


@router.get("/audit-events/{number}")
def info(me: Me, number: int) -> Response:
    people.require_admin(me.user)
    return answer(show.audit_event(audit.find(me.platform.db, number)))
