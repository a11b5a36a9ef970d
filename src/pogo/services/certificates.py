"""Certificates that apps bring, which domains use them, and what the router shows of it all."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.x509 import verification
from sqlalchemy import select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Domain, SniEndpoint, utcnow
from pogo.model.base import new_id
from pogo.router.certificates import Served
from pogo.rules.certificates import Certificate, covers, read
from pogo.rules.names import generated_name
from pogo.services.database import Database
from pogo.settings import STACK_CERTIFICATES, Settings

MOST = 1000  # certificates of one app


@dataclass(frozen=True)
class EndpointView:
    """domains: ids of the domains that use it."""

    row: SniEndpoint
    domains: tuple[str, ...]


def list_endpoints(db: Database, app: App) -> list[EndpointView]:
    with db.read() as session:
        rows = session.scalars(select(SniEndpoint).where(SniEndpoint.app_id == app.id).order_by(SniEndpoint.name))
        using = select(Domain.sni_endpoint_id, Domain.id).where(Domain.app_id == app.id).order_by(Domain.hostname)
        domains: dict[str | None, list[str]] = {}
        for endpoint_id, domain_id in session.execute(using):
            domains.setdefault(endpoint_id, []).append(domain_id)
        return [EndpointView(row, tuple(domains.get(row.id, ()))) for row in rows]


def find_endpoint(db: Database, app: App, name_or_id: str) -> EndpointView:
    with db.read() as session:
        return _view(session, _find(session, app, name_or_id))


def add_endpoint(db: Database, app: App, chain: str, key: str) -> EndpointView:
    """Domains of the app without a certificate that this one covers get it. InvalidParams: see rules.certificates."""
    now = utcnow()
    found = read(chain, key, now)
    trusted = is_trusted(found, now)
    with db.write() as session:
        mine = session.scalars(select(SniEndpoint.id).where(SniEndpoint.app_id == app.id)).all()
        if len(mine) >= MOST:
            raise InvalidParams(f"App {app.name} has {MOST} certificates already. Remove one first.")
        row = insert(session, app.id, found, trusted=trusted)
        for domain in session.scalars(select(Domain).where(Domain.app_id == app.id)):
            served = domain.sni_endpoint_id and session.get_one(SniEndpoint, domain.sni_endpoint_id)
            if covers(found.names, domain.hostname) and (not served or served.acm):
                domain.sni_endpoint_id = row.id
        session.flush()
        return _view(session, row)


def update_endpoint(db: Database, app: App, name_or_id: str, chain: str, key: str) -> EndpointView:
    """Another certificate under the same name. It has to cover the domains that use the old one."""
    now = utcnow()
    found = read(chain, key, now)
    trusted = is_trusted(found, now)
    with db.write() as session:
        row = _find(session, app, name_or_id)
        if row.acm:
            raise InvalidParams(f"Certificate {row.name} is kept up to date by the platform. Use certs:add instead.")
        for domain in session.scalars(select(Domain).where(Domain.sni_endpoint_id == row.id)):
            if not covers(found.names, domain.hostname):
                raise InvalidParams(
                    f"The certificate does not cover {domain.hostname}, which uses {row.name}; it covers "
                    f"{', '.join(found.names)}. Give one that does, or another certificate to that domain first."
                )
        fill(row, found, trusted=trusted)
        session.flush()
        return _view(session, row)


def remove_endpoint(db: Database, app: App, name_or_id: str) -> EndpointView:
    with db.write() as session:
        view = _view(session, _find(session, app, name_or_id))
        if view.row.acm:
            raise InvalidParams(f"Certificate {view.row.name} is the platform's own work: certs:auto:disable ends it.")
        session.delete(view.row)
        return view


def choose_endpoint(db: Database, app: App, domain_id: str, name_or_id: str | None) -> Domain:
    """Use a certificate for a domain; None: none of the user's. InvalidParams where it does not cover the domain."""
    with db.write() as session:
        domain = session.get(Domain, domain_id)
        if domain is None:
            raise NotFound("domain")
        if name_or_id:
            domain.sni_endpoint_id = fitting(session, app, domain.hostname, name_or_id)
        elif domain.sni_endpoint_id and not session.get_one(SniEndpoint, domain.sni_endpoint_id).acm:
            domain.sni_endpoint_id = None
        session.flush()
        return domain


def fitting(session: Session, app: App, hostname: str, name_or_id: str) -> str:
    """Id of the app's certificate of this name, which has to cover the host."""
    row = _find(session, app, name_or_id)
    if not covers(row.names, hostname):
        raise InvalidParams(
            f"Certificate {row.name} does not cover {hostname}; it covers {', '.join(row.names)}. "
            "Choose another one, or add one that does with certs:add."
        )
    return row.id


def only_one_for(session: Session, app: App, hostname: str) -> str | None:
    """Id of the app's certificate for this host, where nobody has to choose. Those of authorities do not count."""
    rows = session.scalars(select(SniEndpoint).where(SniEndpoint.app_id == app.id, SniEndpoint.acm.is_(False)))
    found = [row.id for row in rows if covers(row.names, hostname)]
    return found[0] if len(found) == 1 else None


def names_of(db: Database, ids: Iterable[str]) -> dict[str, str]:
    """Names of certificates by id."""
    with db.read() as session:
        rows = session.execute(select(SniEndpoint.id, SniEndpoint.name).where(SniEndpoint.id.in_(list(ids))))
        return {row.id: row.name for row in rows}


def insert(
    session: Session, app_id: str | None, found: Certificate, *, trusted: bool, acm: bool = False
) -> SniEndpoint:
    """name: new and unique. For the platform's own services."""
    while True:
        name = generated_name(random.randrange(1 << 30) for _ in range(3))  # noqa: S311  it is no secret
        if not session.scalar(select(SniEndpoint.id).where(SniEndpoint.name == name)):
            break
    row = SniEndpoint(app_id=app_id, name=name, acm=acm)
    fill(row, found, trusted=trusted)
    session.add(row)
    session.flush()
    return row


def fill(row: SniEndpoint, found: Certificate, *, trusted: bool) -> None:
    if (row.chain, row.key) != (found.chain, found.key):
        row.cert_id = new_id()
    row.chain, row.key, row.names = found.chain, found.key, list(found.names)
    row.issuer, row.subject = found.issuer, found.subject
    row.starts_at, row.expires_at, row.trusted = found.starts_at, found.expires_at, trusted


def is_trusted(found: Certificate, now: datetime) -> bool:
    """Whether this machine trusts who has signed it."""
    store = _authorities()
    if store is None:
        return False
    leaf, *between = x509.load_pem_x509_certificates(found.chain.encode())
    try:
        name = x509.DNSName(found.names[0].replace("*", "wildcard", 1))
        verification.PolicyBuilder().store(store).time(now).build_server_verifier(name).verify(leaf, between)
    except (verification.VerificationError, ValueError):
        return False
    return True


@lru_cache(maxsize=1)
def _authorities() -> verification.Store | None:
    file = Path(STACK_CERTIFICATES)
    found = []
    for block in re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", _read(file), re.DOTALL):
        with suppress(ValueError), warnings.catch_warnings(action="ignore"):  # some roots are malformed
            found.append(x509.load_pem_x509_certificate(block))
    return verification.Store(found) if found else None


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def served(db: Database, settings: Settings) -> list[Served]:
    """All certificates in use, with the hosts they are shown for; without keys, see `pem`."""
    hosts: dict[str, list[str]] = {}
    with db.read() as session:
        for cert_id, hostname in session.execute(
            select(SniEndpoint.cert_id, Domain.hostname)
            .join(Domain, Domain.sni_endpoint_id == SniEndpoint.id)
            .join(App, App.id == Domain.app_id)
            .where(App.destroyed_at.is_(None))
        ):
            hosts.setdefault(cert_id, []).append(hostname)
        for cert_id, names in session.execute(
            select(SniEndpoint.cert_id, SniEndpoint.names).where(SniEndpoint.app_id.is_(None))
        ):
            hosts[cert_id] = platform_hosts(settings, names)
    return [Served(id, tuple(sorted(names))) for id, names in hosts.items()]


def platform_hosts(settings: Settings, names: Iterable[str]) -> list[str]:
    """What a certificate of the platform is shown for: its names, and those of our own hosts that a wildcard covers."""
    known = list(names)
    own = [host for host in (settings.api_host, settings.git_host) if covers(known, host)]
    return sorted({*known, *own})


def platform_certificate(db: Database, name: str) -> SniEndpoint | None:
    """The platform's certificate of this name."""
    with db.read() as session:
        return session.scalar(select(SniEndpoint).where(SniEndpoint.app_id.is_(None), SniEndpoint.name == name))


def pem(db: Database, cert_id: str) -> str | None:
    """Chain and key as HAProxy takes them; None if the certificate is gone meanwhile."""
    with db.read() as session:
        row = session.scalar(select(SniEndpoint).where(SniEndpoint.cert_id == cert_id))
        return row.chain + row.key if row else None


def _find(session: Session, app: App, name_or_id: str) -> SniEndpoint:
    row = session.scalar(
        select(SniEndpoint).where(
            SniEndpoint.app_id == app.id, (SniEndpoint.name == name_or_id) | (SniEndpoint.id == name_or_id.lower())
        )
    )
    if row is None:
        raise NotFound("sni_endpoint", f"Couldn't find that SNI endpoint ({name_or_id}).")
    return row


def _view(session: Session, row: SniEndpoint) -> EndpointView:
    domains = session.scalars(select(Domain.id).where(Domain.sni_endpoint_id == row.id).order_by(Domain.hostname))
    return EndpointView(row, tuple(domains))
