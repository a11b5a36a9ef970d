"""Custom domains."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Domain
from pogo.rules import names
from pogo.services import certificates
from pogo.services.database import Database


def list_domains(db: Database, app: App) -> list[Domain]:
    """Custom domains by host name; the app's own name on the platform's domain is not among them."""
    with db.read() as session:
        return list(session.scalars(select(Domain).where(Domain.app_id == app.id).order_by(Domain.hostname)))


def add_domain(db: Database, app: App, hostname: str, platform_domain: str, endpoint: str | None = None) -> Domain:
    """endpoint: name or id of the certificate for it; None: the app's one that covers it, if it is the only one.

    InvalidParams: no valid host name, or used by an app (also of somebody else), or not covered by the certificate.
    """
    hostname = names.check_hostname(hostname, platform_domain)
    with db.write() as session:
        taken = session.scalar(select(Domain).where(Domain.hostname == hostname))
        if taken:
            whose = "this app" if taken.app_id == app.id else "another app"
            raise InvalidParams(f"Domain {hostname} is already in use by {whose}.")
        _refuse_foreign(session, app, hostname)
        served = (
            certificates.fitting(session, app, hostname, endpoint)
            if endpoint
            else certificates.only_one_for(session, app, hostname)
        )
        domain = Domain(app_id=app.id, hostname=hostname, sni_endpoint_id=served)
        session.add(domain)
        session.flush()
        return domain


def _refuse_foreign(session: Session, app: App, hostname: str) -> None:
    """A wildcard and what it covers belong to one person or one team."""
    labels = hostname.removeprefix("*.").split(".")
    related: list[ColumnElement[bool]] = [
        Domain.hostname.in_([f"*.{'.'.join(labels[index:])}" for index in range(len(labels))])
    ]
    if hostname.startswith("*."):
        related.append(Domain.hostname.endswith(hostname[1:], autoescape=True))
    query = select(Domain.hostname, App.owner_id, App.team_id).join(App, App.id == Domain.app_id).where(or_(*related))
    for other, owner, team in session.execute(query):
        if (team or owner) != (app.team_id or app.owner_id) and names.claims_refuse(hostname, other):
            what = "a wildcard" if other.startswith("*.") else "a domain"
            raise InvalidParams(f"Domain {hostname} cannot be added: somebody else has {what} that overlaps with it.")


def find_domain(db: Database, app: App, hostname_or_id: str) -> Domain:
    try:
        wanted = names.canonical_hostname(hostname_or_id)
    except InvalidParams:
        wanted = hostname_or_id
    for domain in list_domains(db, app):
        if wanted in (domain.hostname, domain.id):
            return domain
    raise NotFound("domain", f"Couldn't find that domain name: {hostname_or_id} is not a domain of {app.name}.")


def remove_domain(db: Database, app: App, hostname_or_id: str) -> Domain:
    domain = find_domain(db, app, hostname_or_id)
    with db.write() as session:
        session.delete(domain)
    return domain
