"""One consistent picture of what shall run, for the loops. Read with few queries, however many apps.

The loops look at it every second, so it is read anew only after something was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pogo.model import App, Domain, Dyno, Formation, Release, Slug
from pogo.router import PLAIN, Options
from pogo.rules import checks
from pogo.rules.checks import Checks
from pogo.rules.formation import DynoState, Want
from pogo.services.database import Database
from pogo.services.releases import RELEASE_TYPE
from pogo.services.router_settings import read_options


@dataclass
class AppState:
    """One app. release: id of the current release with a slug, else None. port, address: of dynos by dyno id.

    web: how many web dynos the formation asks for. checks: of its web dynos.
    routing: how the router treats its requests.
    """

    id: str
    name: str
    slot: int
    maintenance: bool
    destroyed: bool
    checks: Checks = checks.DEFAULT
    routing: Options = PLAIN
    release: str | None = None
    domains: list[str] = field(default_factory=list)
    wants: list[Want] = field(default_factory=list)
    dynos: list[DynoState] = field(default_factory=list)
    address: dict[str, str] = field(default_factory=dict)
    port: dict[str, int] = field(default_factory=dict)

    @property
    def web(self) -> int:
        return sum(want.type == "web" for want in self.wants)


def read(db: Database) -> list[AppState]:
    """Every app that is there, or not yet cleared away; the same list again while nothing was written."""
    return db.remembered(_read)


def _read(db: Database) -> list[AppState]:
    with db.read() as session:
        columns = (App.id, App.name, App.slot, App.maintenance, App.destroyed_at, App.checks)
        apps = {
            id: AppState(id, name, slot, maintenance, destroyed_at is not None, checks.stored(kept))
            for id, name, slot, maintenance, destroyed_at, kept in session.execute(select(*columns))
        }
        for id, options in read_options(session).items():
            apps[id].routing = options
        for domain in session.execute(select(Domain.app_id, Domain.hostname)):
            apps[domain.app_id].domains.append(domain.hostname)
        _read_wants(session, apps)
        _read_dynos(session, apps)
        return list(apps.values())


def _read_wants(session: Session, apps: dict[str, AppState]) -> None:
    newest = (
        select(Release.app_id, func.max(Release.version).label("version"))
        .where(Release.status == "succeeded")
        .group_by(Release.app_id)
        .subquery()
    )
    query = (
        select(Release.app_id, Release.id, Slug.process_types)
        .join(newest, (newest.c.app_id == Release.app_id) & (newest.c.version == Release.version))
        .join(Slug, Slug.id == Release.slug_id)
    )
    commands = {}
    for app_id, release_id, process_types in session.execute(query):
        if not apps[app_id].destroyed:
            apps[app_id].release = release_id
            commands[app_id] = {type: text for type, text in process_types.items() if type != RELEASE_TYPE}
    for row in session.execute(select(Formation.app_id, Formation.type, Formation.quantity, Formation.size)):
        command = commands.get(row.app_id, {}).get(row.type)
        if command is not None:
            apps[row.app_id].wants += [Want(row.type, n, row.size, command) for n in range(1, row.quantity + 1)]


def _read_dynos(session: Session, apps: dict[str, AppState]) -> None:
    columns = (
        Dyno.id,
        Dyno.kind,
        Dyno.type,
        Dyno.number,
        Dyno.release_id,
        Dyno.size,
        Dyno.state,
        Dyno.state_at,
        Dyno.container,
        Dyno.retired,
        Dyno.restarts,
        Dyno.next_start,
        Dyno.expires_at,
        Dyno.stop_by,
        Dyno.attach,
        Dyno.attach_sha256.is_not(None),
    )
    for app_id, address, port, *values in session.execute(select(Dyno.app_id, Dyno.address, Dyno.port, *columns)):
        state = DynoState(*values)
        apps[app_id].dynos.append(state)
        if address:
            apps[app_id].address[state.id] = address
        if port:
            apps[app_id].port[state.id] = port
