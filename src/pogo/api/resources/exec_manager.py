"""What the official client asks before it goes into a dyno by SSH (ps:exec, ps:copy, ps:forward, ps:socks).

Its requests name the app as the user of Basic authorization, with the token as the password.
"""

from __future__ import annotations

import asyncssh
from fastapi import Request, Response

from pogo.api import announce
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, credentials
from pogo.errors import InvalidParams
from pogo.model import App
from pogo.services import access, inside

router = resource_router()


class NewKey(Body):
    client_key: str


@router.get("/api/v2")
def index(me: Me, request: Request) -> Response:
    return answer([{"dyno_name": name} for name in inside.names_inside(me.platform.db, _app(me, request))])


@router.put("/api/v2/{dyno}")
def invite(me: Me, request: Request, dyno: str, body: NewKey) -> Response:
    app = _app(me, request)
    settings = me.platform.settings
    host_key = settings.ssh_host_key.with_suffix(".pub")
    if not settings.ssh_host or not host_key.exists():
        raise InvalidParams(
            "The official client's ps:exec needs SSH on port 80 of an address of its own, which this platform does not"
            " have: its operator can set POGO_SSH_ADDRESS. `pogo ps:exec` works without."
        )
    try:
        key = asyncssh.import_public_key(body.client_key)
    except asyncssh.KeyImportError:
        raise InvalidParams("Invalid request: `client_key` must be an SSH public key") from None
    place = inside.enter(me.platform.db, app, dyno)
    name = me.platform.guests.invite(me.user, app, dyno, key.public_data)
    announce.note(me, app, f"Exec session for {place.dyno}")
    return answer(
        {
            "tunnel_host": settings.ssh_host,
            "client_user": name,
            "proxy_public_key": host_key.read_text().strip(),
            "dyno_ip": place.address,
        }
    )


def _app(me: Caller, request: Request) -> App:
    name, _ = credentials(request.headers.get("authorization"))
    if not name:
        raise InvalidParams("Name the app: Basic authorization, with its name as the user and the token as password.")
    return access.find_app(me.platform.db, me.user, name)
