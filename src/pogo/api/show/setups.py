"""App setups as the Platform API shows them."""

from __future__ import annotations

from typing import Any

from pogo.api import signed_urls
from pogo.api.show.shapes import app_ref, time
from pogo.model import AppSetup
from pogo.settings import Settings


def app_setup(settings: Settings, row: AppSetup) -> dict[str, Any]:
    build = row.build
    url = row.success_url
    if url and url.startswith("/"):
        url = settings.app_url(row.app.name).rstrip("/") + url
    return {
        "app": app_ref(row.app),
        "build": {
            "id": build.id,
            "output_stream_url": signed_urls.stream_url(settings, "builds", build.id),
            "status": build.status,
        }
        if build
        else None,
        "created_at": time(row.created_at),
        "failure_message": row.failure,
        "id": row.id,
        "manifest_errors": row.manifest_errors,
        "postdeploy": None if row.exit_code is None else {"exit_code": row.exit_code, "output": row.output},
        "resolved_success_url": url,
        "status": row.status,
        "updated_at": time(row.updated_at),
    }
