"""Registered buildpacks and mirrors, as the official client's registry shows them."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from pogo.api.show.catalog import SINCE
from pogo.api.show.shapes import named, time
from pogo.model import BuildpackName, Mirror
from pogo.rules.buildpacks import BUNDLED, REGISTRY_BLOBS

_LANGUAGES = frozenset({"clojure", "go", "gradle", "java", "jvm", "nodejs", "perl", "php", "python", "ruby", "scala"})
_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?(?:#.*)?")


def buildpack(name: str, url: str, row: BuildpackName | None) -> dict[str, Any]:
    """url: where it comes from, `bundled:<directory>` for a part of the platform. row: the operator's, if it is one.

    blob_url: what clients send back as the buildpack to use.
    """
    namespace, _, short = name.partition("/")
    ours = url.startswith(BUNDLED)
    text = f"{short}, a part of this platform" if ours else f"{short}, from {url}"
    return {
        **named("buildpack", name),
        "blob_url": f"{REGISTRY_BLOBS}{name}.tgz",
        "category": "languages" if short in _LANGUAGES else "tools",
        "created_at": time(row.created_at) if row else SINCE,
        "description": (row.description if row else "") or text,
        "license": None,
        "name": short,
        "namespace": namespace,
        "operator": row is not None,
        "revision": row.revision if row else 1,
        "source": _source(url),
        "support": {"method": "website", "address": url if not ours else "the operator of this platform"},
        "updated_at": time(row.updated_at) if row else SINCE,
        "url": None if ours else url,
    }


def _source(url: str) -> dict[str, Any]:
    if match := _GITHUB.fullmatch(url):
        return {"type": "github", "owner": match[1], "repo": match[2]}
    return {"type": "platform"} if url.startswith(BUNDLED) else {"type": "url", "url": url}


def revision(shown: dict[str, Any]) -> dict[str, Any]:
    """The present revision of a buildpack that was shown."""
    return {
        "created_at": shown["updated_at"],
        "id": shown["id"],
        "license": None,
        "release": shown["revision"],
        "status": "published",
    }


def readme(shown: dict[str, Any]) -> dict[str, str]:
    where = f"It is fetched from {shown['url']}." if shown["url"] else "It comes with this platform."
    text = f"{shown['description']}. {where}\n"
    return {"content": b64encode(text.encode()).decode(), "encoding": "base64"}


def mirror(row: Mirror) -> dict[str, Any]:
    return {
        "created_at": time(row.created_at),
        "id": row.id,
        "prefix": row.prefix,
        "updated_at": time(row.updated_at),
        "url": row.url,
    }
