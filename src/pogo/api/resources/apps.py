"""Apps: list, make, change, destroy."""

from __future__ import annotations

from fastapi import Response

from pogo.api import announce, app_pages
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, OwnApp, TheApp
from pogo.api.show import apps as show
from pogo.api.show.catalog import REGION, REGION_ALIASES
from pogo.errors import InvalidParams, NotFound
from pogo.model import App
from pogo.rules.permissions import MANAGE
from pogo.services import access, apps, membership, releases

router = resource_router()


class NewApp(Body):
    name: str | None = None
    region: str | None = None
    stack: str | None = None


class AppChange(Body):
    name: str | None = None
    maintenance: bool | None = None
    build_stack: str | None = None


@router.post("/apps")
def create(me: Me, body: NewApp = NewApp()) -> Response:
    if body.region not in (None, REGION["id"], *REGION_ALIASES):
        raise InvalidParams(f"Region {body.region} is not available. The region of this platform is {REGION['name']}.")
    settings = me.platform.settings
    stack = body.stack or settings.default_stack
    app = apps.create_app(me.platform.db, me.user, body.name, stack, settings.max_apps)
    announce.note(me, app, "Initial release")
    announce.note(me, app, "Release v1 created")
    me.platform.hints.wake("router")
    return answer(show.app(settings, app, None), 201)


@router.get("/apps")
def index(me: Me, extended: bool = False) -> Response:
    """The operator sees everybody's."""
    return app_pages.listing(me, None if me.user.admin else membership.has_access(me.user), extended=extended)


@router.get("/users/{user}/apps")
def index_of_user(me: Me, user: str, extended: bool = False) -> Response:
    if user != "~" and user.lower() not in (me.user.email, me.user.id):
        raise NotFound("user")
    return app_pages.listing(me, membership.has_access(me.user, by_teams=False), extended=extended)


@router.get("/apps/{app}")
def info(me: Me, app: TheApp, extended: bool = False) -> Response:
    return _one(me, app, extended=extended)


@router.patch("/apps/{app}")
def update(me: Me, app: TheApp, body: AppChange) -> Response:
    if body.name not in (None, app.name):
        access.require(me.platform.db, app, me.user, MANAGE)
    changed = apps.update_app(
        me.platform.db, app, name=body.name, maintenance=body.maintenance, build_stack=body.build_stack
    )
    me.platform.hints.wake("router")
    return _one(me, changed)


@router.delete("/apps/{app}")
def destroy(me: Me, app: OwnApp) -> Response:
    gone = _one(me, app)
    apps.destroy_app(me.platform.db, app)
    me.platform.hints.wake("dynos", "router", "cleanup")
    return gone


def _one(me: Caller, app: App, *, extended: bool = False) -> Response:
    size = releases.slug_sizes(me.platform.db, [app.id]).get(app.id)
    return answer(show.app(me.platform.settings, app, size, extended=extended))
