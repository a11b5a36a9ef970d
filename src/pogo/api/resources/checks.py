"""How an app's web dynos are checked. Ours; the official API has nothing of the kind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.rules import checks as rules
from pogo.rules.checks import Checks
from pogo.services import checks

router = resource_router()


class Change(Body):
    """As rules.checks.Checks. A field that is `null` gets its default back, one that is absent stays."""

    ready_path: str | None = None
    live_path: str | None = None
    live_period: float | None = None
    live_timeout: float | None = None
    live_failures: int | None = None


@router.get("/apps/{app}/checks")
def info(app: TheApp) -> Response:
    return answer(_shown(rules.stored(app.checks)))


@router.patch("/apps/{app}/checks")
def update(me: Me, app: TheApp, body: Change) -> Response:
    changes = body.model_dump(include=body.model_fields_set)
    shown = _shown(checks.change_checks(me.platform.db, app, changes))
    if changes:
        announce.note(me, app, f"Set checks {', '.join(f'{name} = {shown[name]}' for name in changes)}")
        me.platform.hints.wake("dynos", "liveness")
    return answer(shown)


def _shown(found: Checks) -> dict[str, Any]:
    return {name: None if value == "" else value for name, value in asdict(found).items()}
