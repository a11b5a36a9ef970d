"""Pipelines, couplings, promotions through the API."""

from __future__ import annotations

from typing import Any

import pytest
from api_rig import Client, People, deploy, said

from pogo.model import App, Dyno, Release, Slug
from pogo.services import apps, garbage, releases
from pogo.services.platform import Platform


@pytest.fixture
def live(platform: Platform, everyone: People) -> App:
    """ann's second app."""
    return apps.create_app(platform.db, everyone.users["ann"], "shop-live", "pogo-13", 10)


@pytest.fixture
def pipeline(ann: Client, app: App, live: App) -> dict[str, Any]:
    made: dict[str, Any] = ann.post("/pipelines", {"name": "shop", "generation": {"name": "cedar"}}).json()
    for name, stage in (("shop", "staging"), ("shop-live", "production")):
        body = {"app": name, "pipeline": made["id"], "stage": stage}
        assert ann.post("/pipeline-couplings", body).status_code == 201
    return made


def promote(client: Client, pipeline: dict[str, Any], source: App, *targets: App) -> Any:
    body = {
        "pipeline": {"id": pipeline["id"]},
        "source": {"app": {"id": source.id}},
        "targets": [{"app": {"id": one.id}} for one in targets],
    }
    return client.post("/pipeline-promotions", body)


def test_a_pipeline_from_first_to_last(everyone: People, app: App, live: App) -> None:
    ann = everyone.ann
    made = ann.post("/pipelines", {"name": "shop", "owner": {"id": everyone.users["ann"].id, "type": "user"}})
    assert made.status_code == 201
    pipeline = made.json()
    assert pipeline["owner"] == {"id": everyone.users["ann"].id, "type": "user"}
    assert ann.get("/pipelines").json() == [pipeline]
    assert ann.get("/pipelines?eq[name]=shop").json() == [pipeline]
    assert ann.get("/pipelines?eq[name]=other").json() == []
    assert ann.get("/apps/shop/pipeline-couplings").status_code == 404
    coupled = ann.post("/pipeline-couplings", {"app": "shop", "pipeline": pipeline["id"], "stage": "staging"}).json()
    assert (coupled["stage"], coupled["app"]["name"], coupled["pipeline"]["name"]) == ("staging", "shop", "shop")
    path = f"/pipeline-couplings/{coupled['id']}"
    assert ann.get("/apps/shop/pipeline-couplings").json() == ann.get(path).json() == coupled
    moved = ann.patch(path, {"stage": "production"}).json()
    assert moved["stage"] == "production"
    for where in (
        "/pipeline-couplings",
        "/users/~/pipeline-couplings",
        f"/pipelines/{pipeline['id']}/pipeline-couplings",
    ):
        assert ann.get(where).json() == [moved]
    assert ann.get(f"/pipelines/{pipeline['id']}/pipeline-stack").json()["stack"]["name"] == "pogo-13"
    renamed = ann.patch(f"/pipelines/{pipeline['id']}", {"name": "store"}).json()
    assert renamed["name"] == "store"
    assert ann.get("/pipelines/store").json() == renamed
    assert ann.delete(path).status_code == 200
    assert ann.get("/apps/shop/pipeline-couplings").status_code == 404
    assert ann.delete(f"/pipelines/{pipeline['id']}").status_code == 200
    assert ann.get("/pipelines").json() == []
    assert ann.get("/apps/shop").status_code == 200


def test_who_sees_and_changes_a_pipeline(everyone: People, pipeline: dict[str, Any]) -> None:
    path = f"/pipelines/{pipeline['id']}"
    assert everyone.bob.get(path).status_code == 200, "bob collaborates on one of its apps"
    assert everyone.bob.patch(path, {"name": "taken"}).status_code == 403
    assert everyone.bob.get(f"{path}/stage/review/config-vars").status_code == 403
    assert everyone.bob.delete(path).status_code == 403
    assert everyone.eve.get("/pipelines").json() == []
    for method, body in (("GET", None), ("PATCH", {"name": "taken"}), ("DELETE", None)):
        assert everyone.eve.call(method, path, body).status_code == 404
    eve = {"app": "shop", "pipeline": pipeline["id"], "stage": "staging"}
    assert everyone.eve.post("/pipeline-couplings", eve).status_code == 404
    coupling = everyone.ann.get("/apps/shop-live/pipeline-couplings").json()
    assert everyone.bob.delete(f"/pipeline-couplings/{coupling['id']}").status_code == 403
    assert everyone.root.get(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/pipelines", {"name": "X"}, "of a pipeline is not valid"),
        ("/pipelines", {"name": "shop"}, "already taken"),
        ("/pipeline-couplings", {"app": "shop", "pipeline": "shop", "stage": "testing"}, "is not one of test"),
        ("/pipeline-couplings", {"app": "shop", "pipeline": "shop", "stage": "review"}, "is in a pipeline already"),
        ("/pipeline-couplings", {"app": "shop", "pipeline": "shop"}, "`stage` is required"),
    ],
)
def test_what_is_refused(ann: Client, pipeline: dict[str, Any], path: str, body: dict[str, Any], text: str) -> None:
    answer = ann.post(path, body)
    assert (answer.status_code, text in answer.json()["message"]) == (422, True), answer.text


def test_config_vars_of_a_stage(ann: Client, pipeline: dict[str, Any]) -> None:
    path = f"/pipelines/{pipeline['id']}/stage/review/config-vars"
    assert ann.get(path).json() == {}
    assert ann.patch(path, {"A": "1", "B": "2"}).json() == {"A": "1", "B": "2"}
    assert ann.patch(path, {"A": None}).json() == ann.get(path).json() == {"B": "2"}
    assert ann.get(f"/pipelines/{pipeline['id']}/stage/test/config-vars").json() == {}
    assert ann.patch(path, {"A B": "1"}).status_code == 422


def test_a_promotion_releases_the_same_slug(
    ann: Client, pipeline: dict[str, Any], app: App, live: App, release: Release, platform: Platform
) -> None:
    ann.patch("/apps/shop-live/config-vars", {"LIVE": "yes"})
    made = promote(ann, pipeline, app, live)
    assert (made.status_code, made.json()["status"]) == (201, "completed")
    assert made.json()["source"] == {"app": {"id": app.id}, "release": {"id": release.id}}
    path = f"/pipeline-promotions/{made.json()['id']}"
    assert ann.get(path).json() == made.json()
    [target] = ann.get(f"{path}/promotion-targets").json()
    assert (target["status"], target["app"]["id"], target["error_message"]) == ("succeeded", live.id, None)
    got = ann.get("/apps/shop-live/releases/v3").json()
    assert got["id"] == target["release"]["id"]
    assert got["slug"]["id"] == release.slug_id
    assert got["description"] == "Promote shop v2 aaaaaaaa"
    assert ann.get("/apps/shop-live/releases/v3/config-vars").json() == {"LIVE": "yes"}
    assert ann.get(f"/apps/shop-live/slugs/{release.slug_id}").json()["commit"] == "a" * 40
    assert [row["quantity"] for row in ann.get("/apps/shop-live/formation").json() if row["type"] == "web"] == [1]
    assert ann.get("/apps/shop-live/builds").json() == []
    assert "Release v3 created by user ann@example.com" in said(platform, live)
    latest = {row["app"]["name"]: row["version"] for row in ann.get("/pipelines/shop/latest-releases").json()}
    assert latest == {"shop": 2, "shop-live": 3}
    assert len(ann.get("/pipelines/shop/latest-deployments").json()) == 2
    assert [row["app"]["id"] for row in ann.get("/pipelines/shop/latest-builds").json()] == [app.id]


def test_a_target_waits_for_its_release_phase(
    ann: Client, pipeline: dict[str, Any], app: App, live: App, platform: Platform, everyone: People
) -> None:
    deploy(platform.db, app, everyone.users["ann"], {"web": "x", "release": "migrate"})
    [phase] = releases.pending_releases(platform.db)
    releases.conclude(platform.db, phase.id, succeeded=True)
    made = promote(ann, pipeline, app, live).json()
    assert made["status"] == "pending"
    [phase] = releases.pending_releases(platform.db)
    path = f"/pipeline-promotions/{made['id']}"
    assert ann.get(f"{path}/promotion-targets").json()[0]["status"] == "pending"
    releases.conclude(platform.db, phase.id, succeeded=False)
    [target] = ann.get(f"{path}/promotion-targets").json()
    assert (target["status"], target["error_message"]) == ("failed", "The release command failed.")
    assert ann.get(path).json()["status"] == "completed"


def test_what_cannot_be_promoted(
    everyone: People, pipeline: dict[str, Any], app: App, live: App, platform: Platform
) -> None:
    ann = everyone.ann
    assert "no release with code" in promote(ann, pipeline, app, live).json()["message"]
    deploy(platform.db, app, everyone.users["ann"])
    other = apps.create_app(platform.db, everyone.users["ann"], "other", "pogo-13", 10)
    for targets, text in (
        ([], "no app"),
        ([app], "to itself"),
        ([other], "not in the pipeline"),
        ([live] * 2, "twice"),
    ):
        answer = promote(ann, pipeline, app, *targets)
        assert (answer.status_code, text in answer.json()["message"]) == (422, True), answer.text
    assert promote(everyone.bob, pipeline, app, live).status_code == 403
    assert promote(everyone.eve, pipeline, app, live).status_code == 404
    assert ann.get("/apps/shop-live/releases").json()[-1]["version"] == 1


def test_a_promoted_slug_outlives_the_app_it_was_made_of(
    ann: Client, pipeline: dict[str, Any], app: App, live: App, release: Release, platform: Platform, everyone: People
) -> None:
    db = platform.db
    promote(ann, pipeline, app, live)
    for number in range(3):
        deploy(db, app, everyone.users["ann"], version=f"{number}" * 40)
    garbage.prune_slugs(db, 1)
    with db.read() as session:
        kept = {row.id for row in session.query(Slug).filter(Slug.pruned_at.is_(None))}
    assert release.slug_id in kept, "the other app runs it"
    assert len(kept) == 2
    ann.delete("/apps/shop")
    assert release.slug is not None
    assert garbage.blobs_of(db, app.id).only.count(release.slug.blob) == 0
    apps.forget_app(db, app.id)
    with db.read() as session:
        assert session.get_one(Slug, release.slug_id).app_id == live.id
    assert ann.get("/apps/shop-live/releases/v2").json()["slug"]["id"] == release.slug_id
    assert [row["app"]["name"] for row in ann.get(f"/pipelines/{pipeline['id']}/pipeline-couplings").json()] == [
        "shop-live"
    ]
    with db.write() as session:
        session.query(Dyno).delete()
    deploy(db, live, everyone.users["ann"])
    garbage.prune_slugs(db, 1)
    with db.read() as session:
        assert session.get_one(Slug, release.slug_id).pruned_at is not None
