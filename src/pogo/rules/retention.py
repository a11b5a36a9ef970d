"""Which slugs of an app are kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

YOUNG = timedelta(days=1)


@dataclass(frozen=True)
class Kept:
    """A slug that is kept so far. version: of the last release that names it, None for none.

    in_use: the current release has it, or one whose release phase runs, or one that a dyno is of.
    """

    id: str
    created_at: datetime
    version: int | None
    in_use: bool


def superfluous(slugs: Collection[Kept], keep: int, now: datetime) -> set[str]:
    """Ids of the slugs of one app to let go: not in use, not among the `keep` that were released last,
    and, where never released, not young."""
    released = sorted((slug for slug in slugs if slug.version is not None), key=lambda slug: -(slug.version or 0))
    newest = {slug.id for slug in released[:keep]}
    young = {slug.id for slug in slugs if slug.version is None and now - slug.created_at < YOUNG}
    return {slug.id for slug in slugs if not slug.in_use} - newest - young
