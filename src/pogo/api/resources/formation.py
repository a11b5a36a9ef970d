"""How many dynos of which size: shown, scaled, resized."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Response
from pydantic import BeforeValidator

from pogo.api import announce
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, name_of, number_as_text, resource_router
from pogo.api.caller import Caller, Me, TheApp
from pogo.api.show import apps as show
from pogo.api.show.catalog import size_ref
from pogo.errors import InvalidParams
from pogo.model import App
from pogo.rules import sizes
from pogo.services import formation
from pogo.services.formation import Change, FormationView

router = resource_router()


class Scaling(Body):
    """quantity: `3`, `"3"`, `"+1"`. size or dyno_size: a name in any letter case, an id, or an object with one."""

    quantity: Annotated[str | None, BeforeValidator(number_as_text)] = None
    size: Annotated[str | None, BeforeValidator(name_of)] = None
    dyno_size: Annotated[str | None, BeforeValidator(name_of)] = None
    docker_image: str | None = None


class TypeScaling(Scaling):
    type: str


class BatchScaling(Body):
    updates: list[TypeScaling]


@router.get("/apps/{app}/formation")
def index(me: Me, app: TheApp) -> Response:
    rows = formation.list_formation(me.platform.db, app)
    return listing(me, rows, lambda view: show.formation(app, view))


@router.get("/apps/{app}/formation/{type}")
def info(me: Me, app: TheApp, type: str) -> Response:
    return answer(show.formation(app, formation.find_formation(me.platform.db, app, type)))


@router.patch("/apps/{app}/formation")
def update_many(me: Me, app: TheApp, body: BatchScaling) -> Response:
    changed = _scale(me, app, [_change(update.type, update) for update in body.updates])
    return answer([show.formation(app, view) for view in changed])


@router.patch("/apps/{app}/formation/{type}")
def update(me: Me, app: TheApp, type: str, body: Scaling) -> Response:
    found = formation.find_formation(me.platform.db, app, type)
    changed = _scale(me, app, [_change(found.row.type, body)])
    return answer(show.formation(app, changed[0]))


def _change(type: str, body: Scaling) -> Change:
    if body.docker_image:
        raise InvalidParams("This platform runs slugs, not Docker images. Deploy by git push.")
    return Change(type, body.quantity, _size(body.dyno_size or body.size))


def _size(given: str | None) -> str | None:
    """Sizes are asked for by name, or by the id that the API shows."""
    return next((size.name for size in sizes.SIZES.values() if size_ref(size.name)["id"] == given), given)


def _scale(me: Caller, app: App, changes: list[Change]) -> list[FormationView]:
    changed = formation.scale(me.platform.db, app, changes)
    if changed:
        shown: list[Any] = [f"{view.row.type}@{view.row.quantity}:{view.row.size}" for view in changed]
        announce.note(me, app, f"Scaled to {' '.join(shown)}")
        me.platform.hints.wake("dynos", "router")
    return changed
