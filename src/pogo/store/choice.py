"""The store that the settings name."""

from __future__ import annotations

import re
from pathlib import Path

from pogo.errors import PogoError
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.files import FileStore
from pogo.store.s3 import S3Store
from pogo.store.s3_client import Bucket
from pogo.store.s3_signature import Keys

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class BadStore(PogoError):
    """POGO_STORE_URL names no object store."""


def open_store(settings: Settings, keys: Keys | None = None) -> BlobStore:
    """keys: instead of those in the file. Raises BadStore, BadKeys. Whether the store answers is not asked."""
    kind, _, place = settings.store.partition(":")
    if kind == "files" and place.startswith("/"):
        return FileStore(Path(place))
    name = place.removeprefix("//").rstrip("/")
    if kind != "s3" or not place.startswith("//") or not _BUCKET.fullmatch(name):
        raise BadStore(f"POGO_STORE_URL={settings.store} is no store: use s3://<bucket> or files:/<directory>.")
    endpoint = settings.store_endpoint or f"https://s3.{settings.store_region}.amazonaws.com"
    if not re.fullmatch(r"https?://[^/?#@]+/?", endpoint):
        raise BadStore(f"POGO_STORE_ENDPOINT={endpoint} is no address of a store: use http[s]://<host>[:<port>].")
    if settings.store_ca and not Path(settings.store_ca).is_file():
        raise BadStore(f"POGO_STORE_CA={settings.store_ca} is no file.")
    bucket = Bucket(
        name=name,
        endpoint=endpoint.rstrip("/"),
        region=settings.store_region,
        keys=keys or Keys.read(settings.store_keys),
        ca=settings.store_ca,
        patience=settings.store_patience,
    )
    return S3Store(bucket, settings.copies_dir, settings.store_cache_mb << 20)
