"""Deletes what is no longer kept: old slugs, caches of idle apps, old output. The database decides; files follow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog

from pogo.model import utcnow
from pogo.services import audit, garbage, people, usage
from pogo.services.platform import Platform

log = structlog.get_logger()


def prune(platform: Platform) -> None:
    """One pass. Killed anywhere in it, the next one does the rest."""
    settings, db, store = platform.settings, platform.db, platform.store
    garbage.prune_slugs(db, settings.keep_slugs)
    for key in garbage.pruned_blobs(db):
        store.delete(key)
        garbage.blob_deleted(db, key)
        log.info("slug deleted", key=key)
    for key in garbage.orphaned_slugs(db, list(store.list(garbage.SLUGS))):
        store.delete(key)
        log.info("slug of no release deleted", key=key)
    kept = timedelta(days=settings.keep_days)
    for key in garbage.idle_caches(db, list(store.list(garbage.CACHES)), utcnow() - kept):
        store.delete(key)
        log.info("build cache of an idle app deleted", key=key)
    audit.prune(db, settings.audit_days)
    people.forget_expired(db)
    usage.add_up(db)
    for id in platform.transcripts.older_than(kept.total_seconds()):
        platform.transcripts.remove(id)


def free_caches(platform: Platform, enough: Callable[[], bool]) -> None:
    """Space is short: build caches go, those of the apps that were not built for longest first.

    Where the objects are elsewhere, their local copies go, and nothing is lost.
    """
    if platform.store.free_copies():
        return
    for key in garbage.idle_caches(platform.db, list(platform.store.list(garbage.CACHES)), utcnow()):
        platform.store.delete(key)
        log.warning("build cache deleted, since space is short", key=key)
        if enough():
            return
