"""Orders of certificates at an authority: what is wanted, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pogo.errors import InvalidParams
from pogo.model import AcmeAccount, AcmeOrder, App, Domain, SniEndpoint, utcnow
from pogo.rules import acme
from pogo.rules.acme import Challenge, DomainState, Wanted
from pogo.rules.certificates import read
from pogo.services import certificates
from pogo.services.database import Database
from pogo.settings import Settings


def possible(settings: Settings) -> bool:
    return bool(settings.acme_directory)


def switch(db: Database, settings: Settings, app: App, *, on: bool) -> App:
    """InvalidParams where the platform has no authority. Off: the certificates that it got are gone."""
    if on and not possible(settings):
        raise InvalidParams(
            "Automatic certificates are not set up on this platform: its operator has to name an authority "
            "(POGO_ACME_DIRECTORY, see docs/tls.md). Certificates of your own can be added with certs:add."
        )
    with db.write() as session:
        row = session.get_one(App, app.id)
        row.acm = on
        if not on:
            for endpoint in session.scalars(
                select(SniEndpoint).where(SniEndpoint.app_id == app.id, SniEndpoint.acm.is_(True))
            ):
                session.delete(endpoint)
        return row


def refresh(db: Database, app: App) -> None:
    """Try again at once where it failed."""
    now = utcnow()
    with db.write() as session:
        hosts = session.scalars(select(Domain.hostname).where(Domain.app_id == app.id))
        for order in session.scalars(select(AcmeOrder).where(AcmeOrder.target.in_(list(hosts)))):
            if order.url is None and (order.failures or order.troubles):
                order.failures = order.troubles = 0
                order.reason = None
                order.due_at = max(now, (order.tried_at or now - acme.REFRESH_PAUSE) + acme.REFRESH_PAUSE)


def states(db: Database, settings: Settings, app: App, domains: Sequence[Domain]) -> dict[str, DomainState]:
    """By id, of those domains; empty for an app without automatic certificates."""
    if not app.acm:
        return {}
    with db.read() as session:
        hosts = [domain.hostname for domain in domains]
        orders = {row.target: row for row in session.scalars(select(AcmeOrder).where(AcmeOrder.target.in_(hosts)))}
        endpoints = {row.id: row for row in session.scalars(select(SniEndpoint).where(SniEndpoint.app_id == app.id))}
        found = {}
        for domain in domains:
            order, endpoint = orders.get(domain.hostname), endpoints.get(domain.sni_endpoint_id or "")
            found[domain.id] = DomainState(
                possible=possible(settings),
                own=endpoint.name if endpoint and not endpoint.acm else None,
                issued=endpoint is not None and endpoint.acm,
                ordered=order is not None and order.url is not None,
                failures=order.failures if order else 0,
                troubles=order.troubles if order else 0,
                reason=order.reason if order else None,
            )
        return found


def answers(db: Database) -> dict[str, str]:
    """Path → text of all challenges that are to be answered by HTTP now."""
    with db.read() as session:
        rows = session.scalars(select(AcmeOrder).where(AcmeOrder.url.is_not(None)))
        return {one.where: one.what for row in rows for one in challenges(row) if one.kind == "http-01"}


def challenges(order: AcmeOrder) -> list[Challenge]:
    return [Challenge(**one) for one in order.challenges]


def sync(db: Database, settings: Settings) -> list[AcmeOrder]:
    """Have an order for all that is wanted. Returned: those that no longer are, to be cleaned and dropped.

    Certificates of ours that nothing uses any more are removed.
    """
    now = utcnow()
    with db.write() as session:
        wanted = {one.target: one for one in _wanted(session, settings)}
        known = {row.target: row for row in session.scalars(select(AcmeOrder))}
        for target, one in wanted.items():
            row = known.get(target)
            if row is None:
                session.add(AcmeOrder(target=target, names=list(one.names), due_at=now, challenges=[]))
            elif row.names != list(one.names):
                row.names, row.due_at, row.key, row.failures, row.troubles = list(one.names), now, None, 0, 0
                row.url = row.deadline = row.reason = None
        used = select(Domain.sni_endpoint_id).where(Domain.sni_endpoint_id.is_not(None))
        for endpoint in session.scalars(
            select(SniEndpoint).where(SniEndpoint.acm.is_(True), SniEndpoint.id.not_in(used))
        ):
            if endpoint.app_id is not None or endpoint.name not in wanted:
                session.delete(endpoint)
        return [row for target, row in known.items() if target not in wanted]


def _wanted(session: Session, settings: Settings) -> list[Wanted]:
    if not possible(settings):
        return []
    dns = bool(settings.acme_dns_hook)
    hosts = session.scalars(
        select(Domain.hostname)
        .join(App, App.id == Domain.app_id)
        .outerjoin(SniEndpoint, SniEndpoint.id == Domain.sni_endpoint_id)
        .where(App.acm.is_(True), App.destroyed_at.is_(None), SniEndpoint.id.is_(None) | SniEndpoint.acm.is_(True))
    )
    found = [Wanted(host, (host,)) for host in hosts]
    if settings.local or settings.tls_cert:
        return found
    found.append(Wanted(acme.PLATFORM, acme.platform_names(settings.domain, dns=dns)))
    if not dns:
        names = session.scalars(select(App.name).where(App.acm.is_(True), App.destroyed_at.is_(None)))
        found += [Wanted(settings.app_host(name), (settings.app_host(name),)) for name in names]
    return found


def drop(db: Database, order_id: str) -> None:
    with db.write() as session:
        order = session.get(AcmeOrder, order_id)
        if order:
            session.delete(order)


def due(db: Database, count: int) -> list[AcmeOrder]:
    """Those that something is to be done for, the longest-waiting first."""
    with db.read() as session:
        rows = select(AcmeOrder).where(AcmeOrder.due_at <= utcnow()).order_by(AcmeOrder.due_at).limit(count)
        return list(session.scalars(rows))


def next_due(db: Database) -> float:
    """Seconds until something is to be done; an hour if nothing is."""
    with db.read() as session:
        first = session.scalar(select(func.min(AcmeOrder.due_at)))
        return max(0.0, (first - utcnow()).total_seconds()) if first else 3600.0


def account(db: Database, directory: str) -> AcmeAccount:
    """The account at this authority; made here, with a key, before the authority hears of it."""
    with db.write() as session:
        row = session.scalar(select(AcmeAccount).where(AcmeAccount.directory == directory))
        if row is None:
            row = AcmeAccount(directory=directory, key=new_key())
            session.add(row)
            session.flush()
        return row


def registered(db: Database, account_id: str, url: str) -> None:
    with db.write() as session:
        session.get_one(AcmeAccount, account_id).url = url


def unregister(db: Database, directory: str) -> None:
    """This authority does not know our account any more: it is registered anew."""
    with db.write() as session:
        for account in session.scalars(select(AcmeAccount).where(AcmeAccount.directory == directory)):
            account.url = None


def begin(db: Database, order_id: str) -> str | None:
    """The key of the certificate to be ordered now. None: not now, as many as an authority allows were ordered."""
    now = utcnow()
    with db.write() as session:
        order = session.get(AcmeOrder, order_id)
        if order is None or order.url:
            return None
        recent = select(func.count()).where(AcmeOrder.tried_at > now - acme.ORDERS_TIME)
        if (session.scalar(recent) or 0) >= acme.ORDERS:
            order.due_at = now + timedelta(minutes=10)
            return None
        order.tried_at = now
        order.key = order.key or new_key()
        return order.key


def placed(db: Database, order_id: str, url: str, asked: Sequence[Challenge]) -> None:
    now = utcnow()
    with db.write() as session:
        order = session.get(AcmeOrder, order_id)
        if order and order.url is None:
            order.url, order.challenges = url, [asdict(one) for one in asked]
            order.deadline, order.due_at = now + acme.PATIENCE, now


def wait(db: Database, order: AcmeOrder, seconds: float) -> None:
    _end(db, order, due_in=timedelta(seconds=seconds), keep=True)


def lost(db: Database, order: AcmeOrder, reason: str) -> None:
    """The authority does not know the order any more."""
    _end(db, order, due_in=acme.trouble_pause(order.troubles + 1), reason=reason, troubles=order.troubles + 1)


def troubled(db: Database, order: AcmeOrder, reason: str, at_least: timedelta = timedelta()) -> None:
    """The authority did not answer, or asked us to wait; the order goes on later."""
    pause = max(at_least, acme.trouble_pause(order.troubles + 1))
    _end(db, order, due_in=pause, reason=reason, troubles=order.troubles + 1, keep=True)


def failed(db: Database, order: AcmeOrder, reason: str) -> None:
    """The authority refused, or could not verify a name."""
    failures = order.failures + 1
    _end(db, order, due_in=acme.pause(failures), reason=reason, failures=failures)


def _end(
    db: Database,
    order: AcmeOrder,
    *,
    due_in: timedelta,
    reason: str | None = None,
    failures: int | None = None,
    troubles: int = 0,
    keep: bool = False,
) -> None:
    """Record it where the order is still the one that was seen. keep: it runs on at the authority."""
    with db.write() as session:
        row = session.get(AcmeOrder, order.id)
        if row is None or row.url != order.url:
            return
        row.due_at = utcnow() + due_in
        row.troubles = troubles
        if failures is not None:
            row.failures = failures
        if reason is not None:
            row.reason = reason[:500]
        if not keep:
            row.url = row.deadline = None
            row.challenges = []


def finish(db: Database, order: AcmeOrder, chain: str) -> str | None:
    """Keep the certificate and show it from now on. Id of the app whose it is, "" for the platform's; None: too late.

    Raises InvalidParams if the authority gave something that does not fit.
    """
    now = utcnow()
    found = read(chain, order.key or "", now)
    trusted = certificates.is_trusted(found, now)
    with db.write() as session:
        row = session.get(AcmeOrder, order.id)
        if row is None or row.url != order.url:
            return None
        domain = session.scalar(select(Domain).where(Domain.hostname == row.target))
        known = session.get(SniEndpoint, domain.sni_endpoint_id) if domain and domain.sni_endpoint_id else None
        if domain and (known is None or known.acm):
            if known is None:
                domain.sni_endpoint_id = certificates.insert(
                    session, domain.app_id, found, trusted=trusted, acm=True
                ).id
            else:
                certificates.fill(known, found, trusted=trusted)
        elif domain is None:
            own = session.scalar(select(SniEndpoint).where(SniEndpoint.name == row.target))
            own = own or SniEndpoint(app_id=None, name=row.target, acm=True)
            certificates.fill(own, found, trusted=trusted)
            session.add(own)
        row.due_at = acme.renew_at(found.starts_at, found.expires_at)
        row.url = row.key = row.deadline = row.reason = None
        row.challenges, row.failures, row.troubles = [], 0, 0
        return domain.app_id if domain else ""


def app_of(db: Database, target: str) -> str | None:
    """Id of the app that has this domain."""
    with db.read() as session:
        return session.scalar(select(Domain.app_id).where(Domain.hostname == target))


def new_key() -> str:
    """A private key (ECDSA P-256), PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
