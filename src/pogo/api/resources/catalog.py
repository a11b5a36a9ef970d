"""What the platform offers: stacks, regions, dyno sizes, generations."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from pogo.api.answers import answer, listing
from pogo.api.bodies import resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import catalog as show
from pogo.errors import InvalidParams, NotFound
from pogo.rules import sizes

router = resource_router()


@router.get("/stacks")
def stacks(me: Me) -> Response:
    return listing(me, _stacks(me), lambda row: row)


@router.get("/apps/{app}/available-stacks")
def available_stacks(me: Me, app: TheApp) -> Response:
    return stacks(me)


@router.get("/stacks/{stack}")
def stack(me: Me, stack: str) -> Response:
    """By our name, by the Heroku stack it stands for, or by id."""
    return answer(_stack(me, stack))


def _stack(me: Me, name_or_id: str) -> dict[str, Any]:
    for row in _stacks(me):
        if name_or_id in (row["name"], row["id"], sizes.STACKS[row["name"]].buildpack_stack):
            return row
    raise NotFound("stack")


def _stacks(me: Me) -> list[dict[str, Any]]:
    return [show.stack(found, me.platform.settings.default_stack) for found in sizes.STACKS.values()]


@router.get("/regions")
def regions(me: Me) -> Response:
    return listing(me, [show.region()], lambda row: row)


@router.get("/regions/{region}")
def region(me: Me, region: str) -> Response:
    if region not in (show.REGION["id"], *show.REGION_ALIASES):
        raise NotFound("region")
    return answer(show.region())


@router.get("/generations")
def generations(me: Me) -> Response:
    return listing(me, [show.generation()], lambda row: row)


@router.get("/generations/{generation}")
def generation(me: Me, generation: str) -> Response:
    """By its own name or id, or by those of a stack, which is what Heroku's schema puts there."""
    if generation not in show.GENERATION.values():
        try:
            _stack(me, generation)
        except NotFound:
            raise NotFound("generation") from None
    return answer(show.generation())


@router.get("/dyno-sizes")
def dyno_sizes(me: Me) -> Response:
    return listing(me, list(sizes.SIZES.values()), show.dyno_size)


@router.get("/apps/{app}/available-dyno-sizes")
def available_dyno_sizes(me: Me, app: TheApp) -> Response:
    return dyno_sizes(me)


@router.get("/dyno-sizes/{size}")
def dyno_size(me: Me, size: str) -> Response:
    for one in sizes.SIZES.values():
        if size == show.size_ref(one.name)["id"]:
            return answer(show.dyno_size(one))
    try:
        return answer(show.dyno_size(sizes.find_size(size)))
    except InvalidParams as unknown:
        raise NotFound("dyno_size", unknown.message) from None
