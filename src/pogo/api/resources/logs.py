"""Log sessions: made with a token, then read by their own URL, as server-sent events.

A session is its URL: what it shows is written there and signed, and nothing is stored. So logs are read on a full disk.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from pogo.api import signed_urls
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import shapes
from pogo.api.streaming import with_heartbeat
from pogo.errors import Forbidden, NotFound
from pogo.logs import Filter, Line
from pogo.model import utcnow
from pogo.model.base import new_id
from pogo.rules.log_lines import format_line
from pogo.services import apps
from pogo.services.platform import Platform
from pogo.settings import Settings

router = resource_router()
streams = APIRouter()

HEARTBEAT = 15.0
RETRY_MS = 1000
# A client that comes back before pogod does gets a 503, after which the official one gives up.
RETRY_AFTER_RESTART_MS = 10_000


LIFETIME = timedelta(minutes=5)  # to begin; a tail that runs may reconnect for a day
TAIL_LIFETIME = timedelta(days=1)
MAX_LINES = 1500  # Heroku: the last 1,500 lines are kept for retrieval

Name = Annotated[str, Field(max_length=100)]


class NewLogSession(Body):
    """dyno (the CLI's word) or dyno_name: `web.1` or `web`; type: a process type."""

    dyno: Name | None = None
    dyno_name: Name | None = None
    type: Name | None = None
    lines: int | None = None
    source: Name | None = None
    tail: bool | None = None


@dataclass(frozen=True)
class LogSession:
    """until: unix time. dyno, source: "" for all."""

    app_id: str
    lines: int
    tail: bool
    dyno: str
    source: str
    until: int

    def secret(self, settings: Settings) -> str:
        text = base64.urlsafe_b64encode(json.dumps(list(asdict(self).values())).encode()).decode().rstrip("=")
        return f"{text}.{signed_urls.sign(settings, 'logs', text)}"

    @classmethod
    def opened_by(cls, settings: Settings, secret: str) -> LogSession:
        """Raises NotFound."""
        text, _, signature = secret.partition(".")
        try:
            signed_urls.check(settings, signature, "logs", text)
        except Forbidden as error:
            raise NotFound("log session") from error
        found = cls(*json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        if found.until < time.time():
            raise NotFound("log session", "This log session has expired. Open a new one.")
        return found


@router.post("/apps/{app}/log-sessions")
def create(me: Me, app: TheApp, body: NewLogSession = NewLogSession()) -> Response:
    now, tail = utcnow(), bool(body.tail)
    session = LogSession(
        app_id=app.id,
        lines=max(0, min(100 if body.lines is None else body.lines, MAX_LINES)),
        tail=tail,
        dyno=body.dyno or body.dyno_name or body.type or "",
        source=body.source or "",
        until=int((now + (TAIL_LIFETIME if tail else LIFETIME)).timestamp()),
    )
    settings = me.platform.settings
    shown = {
        "created_at": shapes.time(now),
        "id": new_id(),
        "logplex_url": f"{signed_urls.api_url(settings)}/logs/{session.secret(settings)}",
        "updated_at": shapes.time(now),
    }
    return answer(shown, 201)


@streams.get("/logs/{secret}")
async def read(request: Request, secret: str) -> Response:
    """The last lines, then, with `tail`, new ones for ever. `Last-Event-ID` goes on after that line."""
    platform: Platform = request.app.state.platform
    session = LogSession.opened_by(platform.settings, secret)
    await platform.call(apps.get_app, session.app_id)
    events = _events(platform, session, request.headers.get("last-event-id", ""), request.app.state.stopping)
    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(platform: Platform, session: LogSession, after: str, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    wanted = Filter(session.source, session.dyno)
    yield f"retry: {RETRY_MS}\n\n".encode()
    if not (after and session.tail):
        # At least one line, for the place where the tail begins.
        recent = await asyncio.to_thread(platform.logs.recent, session.app_id, max(session.lines, 1), wanted)
        after = recent[-1][0] if recent else ""
        if recent and session.lines:
            yield b"".join(_event(id, line) for id, line in recent)
    if session.tail:
        lines = platform.logs.follow(session.app_id, after, wanted)
        async for found in with_heartbeat(lines, HEARTBEAT, stopping):
            yield _event(*found) if found else b": keep-alive\n\n"
        # A stream that ends is opened again, after the line that came last; one that is cut off is an error.
        yield f"retry: {RETRY_AFTER_RESTART_MS}\n\n".encode()


def _event(id: str, line: Line) -> bytes:
    text = format_line(line.at, line.source, line.dyno, line.text)
    data = "".join(f"data: {part}\n" for part in text.replace("\r", "\n").split("\n"))
    return f"id: {id}\n{data}\n".encode()
