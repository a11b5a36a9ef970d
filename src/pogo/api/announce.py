"""What a change made through the API sets in motion: a line in the app's log, and loops that wake sooner."""

from __future__ import annotations

import time

import structlog

from pogo.api.caller import Caller
from pogo.errors import PogoError
from pogo.model import App, Release

log = structlog.get_logger("pogo.api")


def note(me: Caller, app: App, text: str) -> None:
    """Heroku's line of the API in the app's log: `app[api]: <text> by user ann@example.com`.

    The change is made already, so a log that cannot be written does not undo or fail it.
    """
    try:
        me.platform.say(app.id, "api", f"{text} by user {me.user.email}", at=time.time())
    except PogoError as failure:
        log.warning("cannot write to an app's log", app=app.name, reason=failure.message)


def released(me: Caller, app: App, release: Release) -> None:
    """After a new release."""
    note(me, app, release.description)
    note(me, app, f"Release v{release.version} created")
    me.platform.hints.wake("releases", "dynos", "router")
