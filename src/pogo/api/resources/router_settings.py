"""How the router treats an app's requests. Ours; the official API has nothing of the kind."""

from __future__ import annotations

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.rules.router_settings import stored
from pogo.services import router_settings

router = resource_router()


class Change(Body):
    """As rules.router_settings.RouterSettings. `null` brings the default back, what is absent stays."""

    first_byte_timeout: int | None = None
    idle_timeout: int | None = None
    websocket_timeout: int | None = None
    requests_per_dyno: int | None = None
    queue_length: int | None = None
    retry: str | None = None
    https_only: bool | None = None
    hsts: int | None = None
    allow: list[str] | None = None
    deny: list[str] | None = None
    rate_limit: int | None = None
    basic_auth: str | None = None


@router.get("/apps/{app}/router")
def info(app: TheApp) -> Response:
    return answer(stored(app.router).shown())


@router.patch("/apps/{app}/router")
def update(me: Me, app: TheApp, body: Change) -> Response:
    changes = body.model_dump(include=body.model_fields_set)
    shown = router_settings.change_settings(me.platform.db, app, changes).shown()
    if changes:
        announce.note(me, app, f"Set router {', '.join(f'{name} = {_text(shown[name])}' for name in changes)}")
        me.platform.hints.wake("router")
    return answer(shown)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
