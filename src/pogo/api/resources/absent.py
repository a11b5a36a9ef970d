"""Resources of which nobody can have any here yet: their lists are empty."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.resources.pipelines import ThePipeline
from pogo.errors import NotFound

router = resource_router()


@router.get("/spaces")
@router.get("/addons")
@router.get("/addon-attachments")
@router.get("/addon-services")
def none(me: Me) -> Response:
    return answer([])


@router.get("/apps/{app}/addons")
@router.get("/apps/{app}/addon-attachments")
@router.get("/apps/{app}/telemetry-drains")
@router.get("/client/v11/apps/{app}/transfers")
def none_of_app(app: TheApp) -> Response:
    return answer([])


@router.get("/data/maintenances/v1/apps/{app}")
def no_maintenances(app: TheApp) -> Response:
    """Of databases (`data:maintenances`)."""
    return answer({"maintenances": []})


@router.get("/pipelines/{pipeline}/test-runs")
def no_test_runs(pipeline: ThePipeline) -> Response:
    return answer([])


@router.get("/addon-services/{service}")
@router.get("/addon-services/{service}/plans")
def no_service(me: Me, service: str) -> Response:
    raise NotFound("add-on service", f"Couldn't find the add-on service {service}: add-ons are not there yet.")


@router.post("/apps/{app}/addons")
def no_plan(app: TheApp) -> Response:
    raise NotFound("plan", "Couldn't find that plan: add-ons are not there yet.")


@router.post("/actions/addons/resolve")
@router.post("/actions/addon-attachments/resolve")
def no_addon(me: Me) -> Response:
    raise NotFound("add-on", "Couldn't find that add-on: add-ons are not there yet.")


@router.get("/api/v4/current-status")
def status() -> Response:
    """`heroku status`, without a login. That it answers says that the router and pogod work; more it does not know."""
    systems = [{"system": name, "status": "green"} for name in ("Apps", "Tools")]
    return answer({"status": systems, "incidents": [], "scheduled": []})
