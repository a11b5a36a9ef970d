"""Inside a running dyno: one more process (run:inside, ps:exec), and connections to its ports (ps:forward)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import Field

from pogo.api import announce
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.connection import connect
from pogo.api.resources.dynos import NewDyno, run_request
from pogo.api.show import deploys as show
from pogo.containers import Execution
from pogo.errors import InvalidParams
from pogo.rules import launch
from pogo.services import dynos, inside
from pogo.services.inside import Opening

router = resource_router()


@router.post("/apps/{app}/dynos/{dyno}")
def run_inside(me: Me, app: TheApp, dyno: str, body: NewDyno) -> Response:
    """As `POST /apps/{app}/dynos` with `attach`; the answer is that dyno, with a URL to attach to the new process."""
    request = run_request(body.model_copy(update={"attach": True}))
    if body.attach is False:
        raise InvalidParams("Invalid request: `attach` must be true: a process inside a dyno ends with its client")
    if not request.command.strip():
        raise InvalidParams("A process needs a command, such as bash.")
    place = inside.enter(me.platform.db, app, dyno, request.env)
    containers = me.platform.containers

    async def begin() -> Execution:
        return await containers.exec(place.container, launch.command(request.command), place.env, request.tty)

    announce.note(me, app, f"Running `{request.command}` inside {place.dyno}")
    url = _offer(me, Opening(begin, request.tty is not None))
    return answer(show.dyno(app, dynos.find_dyno(me.platform.db, app, dyno), url), 201)


class Copy(Body):
    path: Annotated[str, Field(min_length=1, max_length=4096)]


@router.post("/apps/{app}/dynos/{dyno}/actions/copy")
def copy(me: Me, app: TheApp, dyno: str, body: Copy) -> Response:
    """A URL to attach to the content of a file, relative to /app. No code of the app runs for it."""
    if "\x00" in body.path:
        raise InvalidParams("Invalid request: `path` must not hold a NUL byte")
    place = inside.enter(me.platform.db, app, dyno)
    containers = me.platform.containers

    async def begin() -> Execution:
        return await containers.exec(place.container, ("/bin/cat", "--", body.path), {"LANG": "C.UTF-8"}, None)

    announce.note(me, app, f"Copying {body.path} from {place.dyno}")
    return answer({"attach_url": _offer(me, Opening(begin, tty=False))}, 201)


class Forward(Body):
    port: Annotated[int, Field(ge=1, le=65535)]


@router.post("/apps/{app}/dynos/{dyno}/actions/forward")
def forward(me: Me, app: TheApp, dyno: str, body: Forward) -> Response:
    """A URL to attach to one TCP connection to a port of the dyno."""
    place = inside.enter(me.platform.db, app, dyno)

    async def begin() -> Execution:
        return await connect(place, body.port)

    return answer({"attach_url": _offer(me, Opening(begin, tty=False))}, 201)


def _offer(me: Caller, opening: Opening[Execution]) -> str:
    settings = me.platform.settings
    return f"rendezvous://{settings.api_host}:{settings.rendezvous_port}/{me.platform.openings.offer(opening)}"
