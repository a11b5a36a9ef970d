"""Leases: which daemon runs a loop. Held by renewing; lost by expiring."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import delete

from pogo.model import Lease, utcnow
from pogo.services.database import Database

LEASE = timedelta(seconds=15)


def hold(db: Database, names: Collection[str], token: str) -> set[str]:
    """Take or renew leases for LEASE; those that are held now, the others are somebody else's."""
    now = utcnow()
    held = set()
    with db.write() as session:
        for name in sorted(names):
            lease = session.get(Lease, name, with_for_update=True)
            if lease is None:
                session.add(Lease(name=name, token=token, expires_at=now + LEASE))
            elif lease.token != token and lease.expires_at > now:
                continue
            else:
                lease.token, lease.expires_at = token, now + LEASE
            held.add(name)
    return held


def let_go_of_node(db: Database, node: str) -> None:
    """Free the leases of this node's previous daemon, which is known to be dead (tokens are `node:…`)."""
    with db.write() as session:
        session.execute(delete(Lease).where(Lease.token.startswith(node + ":", autoescape=True)))
