"""Domains: the app's own on the platform's domain, and custom ones."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.show import apps as show
from pogo.errors import InvalidParams
from pogo.model import App, Domain
from pogo.services import acme, certificates, domains

router = resource_router()


class NewDomain(Body):
    hostname: str
    sni_endpoint: str | None = None


class DomainChange(Body):
    sni_endpoint: str | None = None


@router.get("/apps/{app}/domains")
def index(me: Me, app: TheApp) -> Response:
    rows = [show.default_domain(me.platform.settings, app), *domains.list_domains(me.platform.db, app)]
    shown = _show(me, app, rows)
    return listing(me, rows, lambda row: shown[row.id], "hostname", "id")


@router.get("/apps/{app}/domains/{domain}")
def info(me: Me, app: TheApp, domain: str) -> Response:
    return _one(me, app, _find(me, app, domain))


@router.post("/apps/{app}/domains")
def add(me: Me, app: TheApp, body: NewDomain) -> Response:
    row = domains.add_domain(me.platform.db, app, body.hostname, me.platform.settings.domain, body.sni_endpoint)
    _wake(me)
    return _one(me, app, row, 201)


@router.patch("/apps/{app}/domains/{domain}")
def update(me: Me, app: TheApp, domain: str, body: DomainChange) -> Response:
    """Use another certificate for it; null: none of the user's."""
    row = _find(me, app, domain)
    if not row.app_id:
        raise InvalidParams(f"Domain {row.hostname} is the platform's and has the platform's certificate.")
    row = certificates.choose_endpoint(me.platform.db, app, row.id, body.sni_endpoint)
    _wake(me)
    return _one(me, app, row)


@router.delete("/apps/{app}/domains/{domain}")
def remove(me: Me, app: TheApp, domain: str) -> Response:
    if not _find(me, app, domain).app_id:
        raise InvalidParams(f"Domain {domain} follows the app's name and cannot be removed. Rename the app instead.")
    shown = _one(me, app, _find(me, app, domain))
    domains.remove_domain(me.platform.db, app, domain)
    _wake(me)
    return shown


def _find(me: Caller, app: App, domain: str) -> Domain:
    own = show.default_domain(me.platform.settings, app)
    return own if domain.lower() in (own.hostname, own.id) else domains.find_domain(me.platform.db, app, domain)


def _one(me: Caller, app: App, row: Domain, status: int = 200) -> Response:
    return answer(_show(me, app, [row])[row.id], status)


def _show(me: Caller, app: App, rows: list[Domain]) -> dict[str, dict[str, Any]]:
    """By id."""
    settings, db = me.platform.settings, me.platform.db
    states = acme.states(db, settings, app, [row for row in rows if row.app_id])
    names = certificates.names_of(db, {row.sni_endpoint_id for row in rows if row.sni_endpoint_id})
    return {
        row.id: show.domain(settings, app, row, endpoint=names.get(row.sni_endpoint_id or ""), acm=states.get(row.id))
        for row in rows
    }


def _wake(me: Caller) -> None:
    me.platform.hints.wake("router", "certificates", "acme")
