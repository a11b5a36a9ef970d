"""Leases: which daemon runs a loop. Held by renewing; lost by expiring."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete

from pogo.model import Lease, utcnow
from pogo.services.database import Database

LEASE = timedelta(seconds=15)


def hold(db: Database, name: str, token: str) -> bool:
    """Take or renew the lease for LEASE; False while somebody else holds it."""
    now = utcnow()
    with db.write() as session:
        lease = session.get(Lease, name, with_for_update=True)
        if lease is None:
            session.add(Lease(name=name, token=token, expires_at=now + LEASE))
            return True
        if lease.token != token and lease.expires_at > now:
            return False
        lease.token, lease.expires_at = token, now + LEASE
        return True


def let_go_of_node(db: Database, node: str) -> None:
    """Free the leases of this node's previous daemon, which is known to be dead (tokens are `node:…`)."""
    with db.write() as session:
        session.execute(delete(Lease).where(Lease.token.startswith(node + ":", autoescape=True)))
