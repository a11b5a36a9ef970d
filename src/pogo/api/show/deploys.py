"""Builds, slugs, releases, dynos."""

from __future__ import annotations

from typing import Any

from pogo.api import signed_urls
from pogo.api.show import catalog
from pogo.api.show.apps import buildpack
from pogo.api.show.shapes import app_ref, time, user_ref
from pogo.model import App, Build, Dyno, Release, Slug
from pogo.services.releases import RELEASE_TYPE
from pogo.settings import Settings

SLUG_URL_SECONDS = 3600
# Heroku knows crashed, down, idle, starting and up.
_STATES = {"draining": "up", "stopping": "down", "complete": "down"}


def build(settings: Settings, row: Build, number: int) -> dict[str, Any]:
    """The source itself is not kept after the build, so its URL is empty.

    details: ours. number: which build of the app it is, from 1 on; it may be used in place of the id.
    """
    steps = {name: value for name, value in row.steps.items() if name != "peak"}
    details = {
        "number": number,
        "failure": row.failure,
        "waits": row.waits if row.status == "pending" and row.started_at is None else None,
        "seconds": steps,
        "peak_memory": int(row.steps.get("peak", 0)),
        "started_at": time(row.started_at) if row.started_at else None,
    }
    return {
        "details": details,
        "app": {"id": row.app_id},
        "buildpacks": [buildpack(given) for given in row.buildpacks],
        "created_at": time(row.created_at),
        "generation": "cedar",
        "id": row.id,
        "output_stream_url": signed_urls.stream_url(settings, "builds", row.id),
        "release": {"id": row.release_id} if row.release_id else None,
        "slug": {"id": row.slug_id} if row.slug_id else None,
        "source_blob": {"checksum": None, "url": "", "version": row.source_version, "version_description": None},
        "stack": row.stack,
        "status": row.status,
        "updated_at": time(row.updated_at),
        "user": user_ref(row.user),
    }


def slug(settings: Settings, row: Slug) -> dict[str, Any]:
    """blob: for an hour, where the image (squashfs) is read; before that, where the archive (.tgz) is put."""
    name = signed_urls.expiring_name(row.id, SLUG_URL_SECONDS)
    ready = row.status == "ready"
    kind, verb = ("slug-images", "get") if ready else ("slug-archives", "put")
    checksum = f"SHA256:{row.checksum}" if row.checksum else None
    return {
        "blob": {"method": verb, "url": signed_urls.object_url(settings, kind, name, verb)},
        "buildpack_provided_description": row.detected,
        "checksum": checksum,
        "commit": row.commit,
        "commit_description": row.commit_description,
        "created_at": time(row.created_at),
        "deleted_at": time(row.pruned_at) if row.pruned_at else None,
        "id": row.id,
        "process_types": row.process_types,
        "size": row.size if ready else None,
        "stack": catalog.stack_ref(row.stack),
        "updated_at": time(row.updated_at),
    }


def release(
    settings: Settings, app: App, row: Release, current: str | None, *, extended: bool = False
) -> dict[str, Any]:
    """current: id of the release that runs."""
    phase = row.slug is not None and RELEASE_TYPE in row.slug.process_types
    shown = {
        "addon_plan_names": [],
        "app": app_ref(app),
        "artifacts": [{"type": "slug", "id": row.slug_id}] if row.slug_id else [],
        "created_at": time(row.created_at),
        "current": row.id == current,
        "description": row.description,
        "eligible_for_rollback": row.slug is not None and row.slug.pruned_at is None and row.status == "succeeded",
        "id": row.id,
        "output_stream_url": signed_urls.stream_url(settings, "releases", row.id) if phase else None,
        "slug": {"id": row.slug_id} if row.slug_id else None,
        "status": row.status,
        "updated_at": time(row.updated_at),
        "user": user_ref(row.user),
        "version": row.version,
    }
    return {**shown, "extended": {"slug_id": row.slug_id, "slug_uuid": row.slug_id}} if extended else shown


def shown_state(state: str) -> str:
    """A dyno's state as Heroku names it."""
    return _STATES.get(state, state)


def dyno(app: App, row: Dyno, attach_url: str | None = None, *, extended: bool = False) -> dict[str, Any]:
    """updated_at: since when it is in its state. attach_url: shown once, to whoever started it."""
    shown = {
        "app": app_ref(app),
        "attach_url": attach_url,
        "command": row.command,
        "created_at": time(row.created_at),
        "id": row.id,
        "name": row.name,
        "release": {"id": row.release_id, "version": row.release.version},
        "size": row.size,
        "state": shown_state(row.state),
        "type": row.type,
        "updated_at": time(row.state_at),
    }
    details = {
        "az": None,
        "crash": {**row.crash, "restarts": row.restarts, "next_start": time(row.next_start)} if row.crash else None,
        "execution_plane": None,
        "fleet": None,
        "instance": row.container,
        "ip": row.address,
        "port": row.port,
        "region": catalog.REGION["name"],
        "route": None,
    }
    return {**shown, "extended": details} if extended else shown
