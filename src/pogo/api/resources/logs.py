"""Log sessions: made with a token, then read by their own URL, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from pogo.api import signed_urls
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show.shapes import time
from pogo.api.streaming import with_heartbeat
from pogo.logs import Filter, Line
from pogo.model import LogSession
from pogo.rules.log_lines import format_line
from pogo.services import log_sessions
from pogo.services.platform import Platform

router = resource_router()
streams = APIRouter()

HEARTBEAT = 15.0
RETRY_MS = 1000
# A client that comes back before pogod does gets a 503, after which the official one gives up.
RETRY_AFTER_RESTART_MS = 10_000


class NewLogSession(Body):
    """dyno (the CLI's word) or dyno_name: `web.1` or `web`; type: a process type."""

    dyno: str | None = None
    dyno_name: str | None = None
    type: str | None = None
    lines: int | None = None
    source: str | None = None
    tail: bool | None = None


@router.post("/apps/{app}/log-sessions")
def create(me: Me, app: TheApp, body: NewLogSession = NewLogSession()) -> Response:
    row, secret = log_sessions.open_session(
        me.platform.db,
        app,
        lines=100 if body.lines is None else body.lines,
        tail=bool(body.tail),
        dyno=body.dyno or body.dyno_name or body.type or "",
        source=body.source or "",
    )
    shown = {
        "created_at": time(row.created_at),
        "id": row.id,
        "logplex_url": f"{signed_urls.api_url(me.platform.settings)}/logs/{secret}",
        "updated_at": time(row.updated_at),
    }
    return answer(shown, 201)


@streams.get("/logs/{secret}")
async def read(request: Request, secret: str) -> Response:
    """The last lines, then, with `tail`, new ones for ever. `Last-Event-ID` goes on after that line."""
    platform: Platform = request.app.state.platform
    session = await platform.call(log_sessions.find_session, secret)
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
