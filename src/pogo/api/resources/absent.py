"""Resources of which nobody can have any here yet: their lists are empty."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import resource_router
from pogo.api.caller import Me, TheApp
from pogo.errors import NotFound

router = resource_router()


@router.get("/teams")
@router.get("/spaces")
@router.get("/pipelines")
@router.get("/pipeline-couplings")
@router.get("/users/~/pipeline-couplings")
@router.get("/addons")
@router.get("/addon-attachments")
@router.get("/account/features")
def none(me: Me) -> Response:
    return answer([])


@router.get("/apps/{app}/addons")
@router.get("/apps/{app}/addon-attachments")
@router.get("/apps/{app}/features")
@router.get("/apps/{app}/sni-endpoints")
def none_of_app(app: TheApp) -> Response:
    return answer([])


@router.get("/apps/{app}/pipeline-couplings")
def coupling(app: TheApp) -> Response:
    """One object, where an app is in a pipeline."""
    raise NotFound("pipeline_coupling", f"App {app.name} is not in a pipeline.")


@router.get("/apps/{app}/features/{feature}")
def feature(app: TheApp, feature: str) -> Response:
    raise NotFound("feature", f"Couldn't find that feature ({feature}).")


@router.get("/account/features/{feature}")
def account_feature(me: Me, feature: str) -> Response:
    raise NotFound("feature", f"Couldn't find that feature ({feature}).")
