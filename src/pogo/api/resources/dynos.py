"""Dynos: shown, run one-off, restarted, stopped."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Response
from pydantic import BeforeValidator, Field

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, name_of, refuse, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.show import deploys as show
from pogo.errors import InvalidParams
from pogo.model import App
from pogo.rules import names
from pogo.services import dynos, formation

router = resource_router()

ROWS, COLUMNS = 24, 80


def _env(value: Any) -> Any:
    """Numbers are taken for text: the Heroku CLI sends COLUMNS and LINES so."""
    if not isinstance(value, dict | None):
        raise refuse("must be an object")
    return {
        key: str(item) if isinstance(item, int) and not isinstance(item, bool) else item
        for key, item in (value or {}).items()
    }


class NewDyno(Body):
    """time_to_live: seconds. force_no_tty: pipes instead of a terminal for an attached dyno."""

    command: str
    attach: bool | None = None
    env: Annotated[dict[str, str], BeforeValidator(_env), Field(default_factory=dict)]
    force_no_tty: bool | None = None
    size: Annotated[str | None, BeforeValidator(name_of)] = None
    type: str | None = None
    time_to_live: int | None = None


@router.get("/apps/{app}/dynos")
def index(me: Me, app: TheApp, extended: bool = False) -> Response:
    rows = dynos.list_dynos(me.platform.db, app)
    return listing(me, rows, lambda row: show.dyno(app, row, extended=extended), "name", "id")


@router.get("/apps/{app}/dynos/{dyno}")
def info(me: Me, app: TheApp, dyno: str) -> Response:
    return answer(show.dyno(app, dynos.find_dyno(me.platform.db, app, dyno)))


@router.post("/apps/{app}/dynos")
def run(me: Me, app: TheApp, body: NewDyno) -> Response:
    row, secret = dynos.run(me.platform.db, app, run_request(body))
    announce.note(me, app, f"Starting process with command `{body.command}`")
    me.platform.hints.wake("dynos")
    settings = me.platform.settings
    attach_url = f"rendezvous://{settings.api_host}:{settings.rendezvous_port}/{secret}" if secret else None
    return answer(show.dyno(app, row, attach_url), 201)


def run_request(body: NewDyno) -> dynos.RunRequest:
    type = body.type or "run"
    if not names.PROCESS_TYPE.fullmatch(type):
        raise InvalidParams("Invalid request: `type` may have letters, digits, - and _ (1 to 128 characters)")
    if "\x00" in body.command or len(body.command) > 100_000:
        raise InvalidParams("Invalid request: `command` must be at most 100,000 characters, without NUL")
    names.check_config(dict(body.env))
    attach = bool(body.attach)
    terminal = (_measure(body.env, "LINES", ROWS), _measure(body.env, "COLUMNS", COLUMNS))
    return dynos.RunRequest(
        command=body.command,
        attach=attach,
        type=type,
        size=body.size,
        env=body.env,
        ttl=dynos.DAY if body.time_to_live is None else body.time_to_live,
        tty=terminal if attach and not body.force_no_tty else None,
    )


def _measure(env: dict[str, str], key: str, default: int) -> int:
    text = env.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 5 and int(text) else default


@router.delete("/apps/{app}/dynos")
def restart_all(me: Me, app: TheApp, type: str | None = None) -> Response:
    return _retire(me, app, "replaced", type=type)


@router.delete("/apps/{app}/dynos/{dyno}")
def restart_one(me: Me, app: TheApp, dyno: str) -> Response:
    return _retire(me, app, "replaced", name=dyno)


@router.delete("/apps/{app}/formations/{type}")
def restart_type(me: Me, app: TheApp, type: str) -> Response:
    return _retire(me, app, "replaced", type=type)


@router.post("/apps/{app}/dynos/{dyno}/actions/stop")
def stop_one(me: Me, app: TheApp, dyno: str) -> Response:
    return _retire(me, app, "stopped", name=dyno)


@router.post("/apps/{app}/formations/{type}/actions/stop")
def stop_type(me: Me, app: TheApp, type: str) -> Response:
    return _retire(me, app, "stopped", type=type)


def _retire(me: Caller, app: App, why: str, *, type: str | None = None, name: str | None = None) -> Response:
    count = dynos.retire(me.platform.db, app, why, type=type, name=name)
    if type and not count:
        formation.find_formation(me.platform.db, app, type)  # a type without dynos is fine, an unknown one is not
    me.platform.hints.wake("dynos", "router")
    return answer({}, 202)
