"""What `pogo admin:status` asks of database and store, run as pogod's user so that files stay that user's.

    python -m pogo.install.numbers

Prints JSON: `database` and `store`, each with `error` alone where it does not answer.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from pogo.errors import PogoError
from pogo.model import App, Build, Dyno, Lease, SniEndpoint
from pogo.services.database import Database, load_keys
from pogo.services.postgres import is_postgres
from pogo.settings import Settings
from pogo.store.choice import open_store

SOON = timedelta(days=14)  # until a certificate ends


def database(settings: Settings) -> dict[str, Any]:
    load_keys(settings.state_dir / "keys" / "secrets.key")
    db = Database(settings.database)
    moment = datetime.now(UTC)
    try:
        with db.read() as session:
            if is_postgres(settings.database):
                size = int(session.scalar(text("SELECT pg_database_size(current_database())")) or 0)
            else:
                file = Path(settings.database.removeprefix("sqlite:///"))
                size = sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))
            builds = session.execute(select(Build.claim_until).where(Build.status == "pending")).scalars().all()
            states = session.execute(select(Dyno.state, func.count()).group_by(Dyno.state))
            leases = session.execute(select(Lease.name, Lease.expires_at).order_by(Lease.name))
            ending = select(SniEndpoint.name, SniEndpoint.expires_at).where(SniEndpoint.expires_at < moment + SOON)
            return {
                "kind": "PostgreSQL" if is_postgres(settings.database) else "SQLite",
                "schema": session.scalar(text("SELECT version_num FROM alembic_version")),
                "size": size,
                "apps": session.scalar(select(func.count(App.id))),
                "dynos": dict(states.tuples().all()),
                "builds": {
                    "running": sum(1 for until in builds if until is not None and until > moment),
                    "queued": sum(1 for until in builds if until is None or until <= moment),
                },
                "leases": {name: "held" if until > moment else "free" for name, until in leases},
                "certificates": {name: until.isoformat() for name, until in session.execute(ending)},
            }
    finally:
        db.close()


def store(settings: Settings) -> dict[str, Any]:
    counts = Counter(key.partition("/")[0] for key in open_store(settings).list(""))
    return {"url": settings.store, "objects": dict(sorted(counts.items()))}


def _or_error(ask: Callable[[Settings], dict[str, Any]], settings: Settings) -> dict[str, Any]:
    try:
        return ask(settings)
    except (PogoError, OSError) as error:
        return {"error": error.message if isinstance(error, PogoError) else str(error)}


def main() -> None:
    settings = Settings()
    print(json.dumps({"database": _or_error(database, settings), "store": _or_error(store, settings)}))


if __name__ == "__main__":
    main()
