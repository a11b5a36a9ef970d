"""Certificates of an app's domains. Private keys come in here and are never shown."""

from __future__ import annotations

from fastapi import Response

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.show import certificates as show
from pogo.model import App
from pogo.services import certificates
from pogo.services.certificates import EndpointView

router = resource_router()


class NewCertificate(Body):
    certificate_chain: str
    private_key: str


@router.get("/apps/{app}/sni-endpoints")
def index(me: Me, app: TheApp) -> Response:
    found = certificates.list_endpoints(me.platform.db, app)
    return listing(me, found, lambda view: show.endpoint(app, view), "row.name", "row.id")


@router.get("/apps/{app}/sni-endpoints/{endpoint}")
def info(me: Me, app: TheApp, endpoint: str) -> Response:
    return answer(show.endpoint(app, certificates.find_endpoint(me.platform.db, app, endpoint)))


@router.post("/apps/{app}/sni-endpoints")
def add(me: Me, app: TheApp, body: NewCertificate) -> Response:
    view = certificates.add_endpoint(me.platform.db, app, body.certificate_chain, body.private_key)
    return _changed(me, app, view, "Add", 201)


@router.patch("/apps/{app}/sni-endpoints/{endpoint}")
def update(me: Me, app: TheApp, endpoint: str, body: NewCertificate) -> Response:
    view = certificates.update_endpoint(me.platform.db, app, endpoint, body.certificate_chain, body.private_key)
    return _changed(me, app, view, "Update")


@router.delete("/apps/{app}/sni-endpoints/{endpoint}")
def remove(me: Me, app: TheApp, endpoint: str) -> Response:
    return _changed(me, app, certificates.remove_endpoint(me.platform.db, app, endpoint), "Remove")


def _changed(me: Caller, app: App, view: EndpointView, verb: str, status: int = 200) -> Response:
    me.platform.hints.wake("certificates", "acme")
    announce.note(me, app, f"{verb} certificate {view.row.name} ({', '.join(view.row.names[:5])})")
    return answer(show.endpoint(app, view), status)
