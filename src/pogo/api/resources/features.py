"""Features of apps; accounts have none."""

from __future__ import annotations

from fastapi import Response

from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import catalog as show
from pogo.errors import NotFound
from pogo.rules.features import FEATURES, Feature
from pogo.services import features

router = resource_router()


class Switch(Body):
    enabled: bool


@router.get("/account/features")
def none(me: Me) -> Response:
    return answer([])


@router.get("/account/features/{feature}")
def account_feature(me: Me, feature: str) -> Response:
    raise NotFound("feature", f"Couldn't find that feature ({feature}).")


@router.get("/apps/{app}/features")
def index(app: TheApp) -> Response:
    return answer([show.feature(app, feature) for feature in FEATURES.values()])


@router.get("/apps/{app}/features/{feature}")
def info(app: TheApp, feature: str) -> Response:
    return answer(show.feature(app, _find(feature)))


@router.patch("/apps/{app}/features/{feature}")
def update(me: Me, app: TheApp, feature: str, body: Switch) -> Response:
    found = _find(feature)
    changed = features.switch_feature(me.platform.db, app, found, on=body.enabled)
    me.platform.hints.wake("router")
    return answer(show.feature(changed, found))


def _find(feature: str) -> Feature:
    return features.find_feature(feature, {name: show.feature_id(name) for name in FEATURES})
