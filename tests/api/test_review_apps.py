"""Review apps, from a source, with what app.json says of them."""

from __future__ import annotations

from typing import Any

import pytest
from api_rig import Client, People
from test_app_setups import finish, source, turn

from pogo.model import Dyno
from pogo.services import builds
from pogo.services.platform import Platform
from pogo.settings import Settings

MANIFEST: dict[str, Any] = {
    "env": {"A": "all", "B": "all", "C": "all"},
    "scripts": {"postdeploy": "bin/setup"},
    "environments": {"review": {"env": {"B": "review"}, "formation": {"web": {"quantity": 2}}, "scripts": {}}},
}


@pytest.fixture
def pipeline(everyone: People) -> dict[str, Any]:
    made: dict[str, Any] = everyone.ann.post("/pipelines", {"name": "shop"}).json()
    everyone.ann.patch(f"/pipelines/{made['id']}/stage/review/config-vars", {"C": "stage", "D": "stage"})
    return made


def test_settings_of_review_apps(everyone: People, pipeline: dict[str, Any]) -> None:
    ann, path = everyone.ann, f"/pipelines/{pipeline['id']}/review-app-config"
    assert ann.get(path).status_code == 404
    made = ann.post(path, {"repo": "acme/shop"})
    assert (made.status_code, made.json()["automatic_review_apps"], made.json()["stale_days"]) == (201, False, 5)
    changed = ann.patch(path, {"base_name": "review", "stale_days": 3}).json()
    assert (changed["base_name"], changed["stale_days"]) == ("review", 3)
    assert ann.get(path).json() == changed
    assert ann.patch(path, {"stale_days": 99}).status_code == 422
    assert everyone.eve.get(path).status_code == 404
    assert ann.delete(path).json() == changed
    assert ann.get(path).status_code == 404


def create(client: Client, settings: Settings, pipeline: dict[str, Any], **more: Any) -> Any:
    blob = {"url": source(client, settings, MANIFEST), "version": "b" * 40}
    return client.post("/review-apps", {"branch": "blue", "pipeline": pipeline["id"], "source_blob": blob, **more})


def test_a_review_app_from_first_to_last(
    everyone: People, pipeline: dict[str, Any], platform: Platform, settings: Settings
) -> None:
    ann = everyone.ann
    refused = create(ann, settings, pipeline)
    assert (refused.status_code, "not enabled" in refused.json()["message"]) == (404, True)
    ann.post(f"/pipelines/{pipeline['id']}/review-app-config", {"repo": "acme/shop"})
    made = create(ann, settings, pipeline, pr_number=7, environment={"E": "given"})
    assert (made.status_code, made.json()["status"]) == (201, "creating")
    review = made.json()
    app = ann.get(f"/apps/{review['app']['id']}").json()["name"]
    assert app == "shop-pr-7"
    assert ann.get(f"/apps/{app}/config-vars").json() == {
        "A": "all",
        "B": "review",
        "C": "stage",
        "D": "stage",
        "E": "given",
    }
    assert ann.get(f"/apps/{app}/pipeline-couplings").json()["stage"] == "review"
    assert ann.get(f"/apps/{app}/review-app").json() == ann.get(f"/review-apps/{review['id']}").json() == review
    assert ann.get(f"/pipelines/{pipeline['id']}/review-apps").json() == [review]
    assert "already" in create(ann, settings, pipeline).json()["message"]
    for client, status in ((everyone.eve, 404), (everyone.bob, 404)):
        assert create(client, settings, pipeline, branch="red").status_code == status
        assert client.delete(f"/review-apps/{review['id']}").status_code == status

    finish(platform, types={"web": "x"})
    turn(platform)
    assert ann.get(f"/apps/{app}/formation").json()[0]["quantity"] == 2
    path = f"/review-apps/{review['id']}"
    with platform.db.write() as session:
        [dyno] = session.query(Dyno)
        dyno.state, dyno.exit_status = "complete", 0
    turn(platform)
    assert ann.get(path).json()["status"] == "created"
    assert ann.delete(path).json()["status"] == "deleting"
    assert ann.get(path).json()["status"] == "deleted"
    assert ann.get(f"/apps/{app}").status_code == 404
    assert ann.get(f"/pipelines/{pipeline['id']}/review-apps").json() == []
    assert ann.delete(path).status_code == 404


def test_a_review_app_whose_build_fails(
    everyone: People, pipeline: dict[str, Any], platform: Platform, settings: Settings
) -> None:
    everyone.ann.post(f"/pipelines/{pipeline['id']}/review-app-config", {})
    review = create(everyone.ann, settings, pipeline).json()
    build = builds.claim_build(platform.db, "node")
    assert build
    builds.fail_build(platform.db, build, "no")
    turn(platform)
    shown = everyone.ann.get(f"/review-apps/{review['id']}").json()
    assert (shown["status"], "build failed" in shown["message"]) == ("errored", True)
