"""Domains: the app's own on the platform's domain, and custom ones."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.show import apps as show
from pogo.errors import InvalidParams, NotFound
from pogo.model import App, Domain
from pogo.services import domains

router = resource_router()


class NewDomain(Body):
    hostname: str
    sni_endpoint: str | None = None


class DomainChange(Body):
    sni_endpoint: str | None = None


@router.get("/apps/{app}/domains")
def index(me: Me, app: TheApp) -> Response:
    settings = me.platform.settings
    rows = [show.default_domain(settings, app), *domains.list_domains(me.platform.db, app)]
    return listing(me, rows, lambda row: show.domain(settings, app, row), "hostname", "id")


@router.get("/apps/{app}/domains/{domain}")
def info(me: Me, app: TheApp, domain: str) -> Response:
    return _one(me, app, _find(me, app, domain))


@router.post("/apps/{app}/domains")
def add(me: Me, app: TheApp, body: NewDomain) -> Response:
    _refuse_certificate(body.sni_endpoint)
    row = domains.add_domain(me.platform.db, app, body.hostname, me.platform.settings.domain)
    me.platform.hints.wake("router")
    return _one(me, app, row, 201)


@router.patch("/apps/{app}/domains/{domain}")
def update(me: Me, app: TheApp, domain: str, body: DomainChange) -> Response:
    _refuse_certificate(body.sni_endpoint)
    return _one(me, app, _find(me, app, domain))


@router.delete("/apps/{app}/domains/{domain}")
def remove(me: Me, app: TheApp, domain: str) -> Response:
    if not _find(me, app, domain).app_id:
        raise InvalidParams(f"Domain {domain} follows the app's name and cannot be removed. Rename the app instead.")
    row = domains.remove_domain(me.platform.db, app, domain)
    me.platform.hints.wake("router")
    return _one(me, app, row)


def _find(me: Caller, app: App, domain: str) -> Domain:
    own = show.default_domain(me.platform.settings, app)
    return own if domain.lower() in (own.hostname, own.id) else domains.find_domain(me.platform.db, app, domain)


def _one(me: Caller, app: App, row: Domain, status: int = 200) -> Response:
    return answer(show.domain(me.platform.settings, app, row), status)


def _refuse_certificate(name: str | None) -> None:
    if name:
        raise NotFound("sni_endpoint", f"Couldn't find that SNI endpoint ({name}).")
