"""Live output of builds and of release phases, by signed URLs."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from pogo.api import signed_urls
from pogo.errors import NotFound
from pogo.services import builds
from pogo.services.platform import Platform

streams = APIRouter()

_FROM = re.compile(r"bytes=(\d{1,12})-")


@streams.get("/streams/{kind}/{id}")
async def read(request: Request, kind: str, id: str, token: str = "") -> Response:
    """All output so far, then new output until the end. `Range: bytes=<n>-` leaves out the first n bytes.

    404 where nothing has been written yet; only a build that waits is waited for.
    """
    platform: Platform = request.app.state.platform
    signed_urls.check(platform.settings, token, "streams", kind, id)
    if not platform.transcripts.exists(id):
        build = await platform.call(builds.get_build, id) if kind == "builds" else None
        if build is None or build.status != "pending":
            raise NotFound("stream", "There is no output of that yet.")
    start = _FROM.fullmatch(request.headers.get("range", ""))
    output = platform.transcripts.follow(id, int(start[1]) if start else 0)
    # Its final size is unknown while it grows, so a part is not called one (status 200).
    return StreamingResponse(output, media_type="text/plain; charset=utf-8")
