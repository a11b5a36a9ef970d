"""Sources: a place to upload an archive to, for a build; and the archives and images of slugs."""

from __future__ import annotations

import tempfile
import uuid
from typing import BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from pogo.api import signed_urls
from pogo.api.answers import answer
from pogo.api.bodies import resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.streaming import file_chunks, spool
from pogo.errors import Forbidden, NotFound, PogoError
from pogo.model import Slug
from pogo.services import releases, uploads
from pogo.services.platform import Platform

router = resource_router()
streams = APIRouter()

UPLOAD_SECONDS = 3600


@router.post("/sources")
def create(me: Me) -> Response:
    return _source(me)


@router.post("/apps/{app}/sources")
def create_for_app(me: Me, app: TheApp) -> Response:
    return _source(me)


def _source(me: Caller) -> Response:
    """Two URLs for an hour. Uploads whose hour is over are removed when the next ones are asked for."""
    settings, store = me.platform.settings, me.platform.store
    for key in list(store.list("uploads/")):
        try:
            signed_urls.check_expiry(key.partition("/")[2])
        except Forbidden:
            store.delete(key)
    name = signed_urls.expiring_name(str(uuid.uuid4()), UPLOAD_SECONDS)
    urls = {f"{verb}_url": signed_urls.object_url(settings, "uploads", name, verb) for verb in ("get", "put")}
    return answer({"source_blob": urls}, 201)


@streams.put("/uploads/{name}")
async def upload(request: Request, name: str, token: str = "") -> Response:
    platform = _allowed(request, "put", "uploads", name, token)
    with tempfile.TemporaryFile(dir=platform.settings.tmp_dir) as file:
        await spool(request.stream(), file, platform.settings.slug_max_mb << 20)
        await platform.ask_store(platform.store.put, f"uploads/{name}", file_chunks(file))
    return Response(status_code=200)


@streams.get("/uploads/{name}")
async def download(request: Request, name: str, token: str = "") -> Response:
    platform = _allowed(request, "get", "uploads", name, token)
    return await _object(platform, f"uploads/{name}", "application/gzip")


@streams.put("/slug-archives/{name}")
async def upload_slug(request: Request, name: str, token: str = "") -> Response:
    """The archive of a slug that was announced; it is checked and packed in a container, which takes a moment."""
    platform = _allowed(request, "put", "slug-archives", name, token)
    source = f"sources/{uuid.uuid4()}"
    with tempfile.TemporaryFile(dir=platform.settings.tmp_dir) as file:
        digest = await spool(request.stream(), file, platform.settings.slug_max_mb << 20)
        await platform.ask_store(platform.store.put, source, file_chunks(file))
    try:
        await platform.call(uploads.start, signed_urls.check_expiry(name), source, digest)
    except PogoError:
        await platform.ask_store(platform.store.delete, source)
        raise
    platform.hints.wake("builds")
    return Response(status_code=200)


@streams.get("/slug-images/{name}")
async def slug_image(request: Request, name: str, token: str = "") -> Response:
    platform = _allowed(request, "get", "slug-images", name, token)
    slug: Slug | None = await platform.call(releases.get_slug, signed_urls.check_expiry(name))
    if slug is None or slug.status != uploads.READY or slug.pruned_at:
        raise NotFound("slug")
    return await _object(platform, slug.blob, "application/vnd.squashfs")


def _allowed(request: Request, verb: str, kind: str, name: str, token: str) -> Platform:
    platform: Platform = request.app.state.platform
    signed_urls.check(platform.settings, token, verb, kind, name)
    signed_urls.check_expiry(name)
    return platform


async def _object(platform: Platform, key: str, media_type: str) -> Response:
    def open_it() -> tuple[int, BinaryIO]:
        return platform.store.size(key), platform.store.open(key)

    size, file = await run_in_threadpool(open_it)
    return StreamingResponse(file_chunks(file), media_type=media_type, headers={"Content-Length": str(size)})
