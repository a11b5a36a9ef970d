"""Resources of which nobody can have any here yet: their lists are empty."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import resource_router
from pogo.api.caller import Me, TheApp

router = resource_router()


@router.get("/spaces")
@router.get("/addons")
@router.get("/addon-attachments")
def none(me: Me) -> Response:
    return answer([])


@router.get("/apps/{app}/addons")
@router.get("/apps/{app}/addon-attachments")
def none_of_app(app: TheApp) -> Response:
    return answer([])
