"""Leases: which daemon runs a loop. Held by renewing; lost by expiring.

What a loop writes is written only while its daemon holds the lease: `Database.write` looks in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import update

from pogo.model import Lease
from pogo.services.database import Database, Holding, now

LEASE = timedelta(seconds=15)


def hold(db: Database, names: Collection[str], token: str) -> dict[str, Holding]:
    """Take or renew leases for LEASE; those that are held now, by name. The others are somebody else's.

    Times are the database's, which all daemons share.
    """
    held = {}
    with db.write() as session:
        moment = now(session)
        for name in sorted(names):
            lease = session.get(Lease, name)
            if lease is None:
                lease = Lease(name=name, token="", expires_at=moment, term=0)
                session.add(lease)
            elif lease.token != token and lease.expires_at > moment:
                continue
            if lease.token != token:
                lease.token, lease.term = token, lease.term + 1
            lease.expires_at = moment + LEASE
            held[name] = Holding(name, token, lease.term)
    return held


def let_go_of_node(db: Database, node: str) -> None:
    """Free the leases of this node's previous daemon, which is known to be dead (tokens are `node:…`)."""
    with db.write() as session:
        mine = Lease.token.startswith(node + ":", autoescape=True)
        session.execute(update(Lease).where(mine).values(token="", expires_at=now(session)))
