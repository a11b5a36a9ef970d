"""Deletes what is no longer kept: old slugs, caches of idle apps, old output. The database decides; files follow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import structlog

from pogo.backup import catalog
from pogo.model import utcnow
from pogo.services import audit, garbage, people, usage
from pogo.services.database import Database
from pogo.services.platform import Transcripts
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.marks import foreign, own_mark

log = structlog.get_logger()


class Held(Protocol):
    """What is pruned: a platform, or these of it without a pogod."""

    @property
    def settings(self) -> Settings: ...
    @property
    def db(self) -> Database: ...
    @property
    def store(self) -> BlobStore: ...
    @property
    def transcripts(self) -> Transcripts: ...


def prune(platform: Held) -> None:
    """One pass. Killed anywhere in it, the next one does the rest."""
    settings, db, store = platform.settings, platform.db, platform.store
    garbage.prune_slugs(db, settings.keep_slugs)
    kept = timedelta(days=settings.keep_days)
    if why := foreign(store, own_mark(settings.store_id)):
        log.warning("nothing is deleted from the object store", reason=why)
    else:
        _delete_objects(platform, kept)
    audit.prune(db, settings.audit_days)
    people.forget_expired(db)
    usage.add_up(db)
    for id in platform.transcripts.older_than(kept.total_seconds()):
        platform.transcripts.remove(id)


def _delete_objects(platform: Held, kept: timedelta) -> None:
    """What backups need is asked for last: one that is begun after that names nothing of these."""
    db, store = platform.db, platform.store
    pruned = garbage.pruned_blobs(db)
    orphaned = garbage.orphaned_slugs(db, list(store.list(garbage.SLUGS)))
    held = catalog.held(store)
    for key in pruned:
        if key not in held:
            store.delete(key)
            garbage.blob_deleted(db, key)
            log.info("slug deleted", key=key)
    for key in orphaned:
        if key not in held:
            store.delete(key)
            log.info("slug of no release deleted", key=key)
    for key in garbage.idle_caches(db, list(store.list(garbage.CACHES)), utcnow() - kept):
        store.delete(key)
        log.info("build cache of an idle app deleted", key=key)


def free_caches(platform: Held, enough: Callable[[], bool]) -> None:
    """Space is short: build caches go, those of the apps that were not built for longest first.

    Where the objects are elsewhere, their local copies go, and nothing is lost.
    """
    if platform.store.free_copies():
        return
    if foreign(platform.store, own_mark(platform.settings.store_id)):
        return
    for key in garbage.idle_caches(platform.db, list(platform.store.list(garbage.CACHES)), utcnow()):
        platform.store.delete(key)
        log.warning("build cache deleted, since space is short", key=key)
        if enough():
            return
