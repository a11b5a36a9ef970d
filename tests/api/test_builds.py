"""Builds by the API: numbers, cancelling, the cache, what is told of them."""

from __future__ import annotations

import asyncio

from api_rig import Client, People, RecordedHints, deploy, path_of, queue, said

from pogo.loops import build_clearing
from pogo.model import App, Release
from pogo.services import builds
from pogo.services.database import Database
from pogo.services.platform import Platform
from pogo.settings import Settings


def test_a_build_is_found_by_its_number(ann: Client, release: Release, app: App, db: Database) -> None:
    second = queue(db, app, app.owner)
    assert [one["details"]["number"] for one in ann.get("/apps/shop/builds").json()] == [1, 2]
    shown = ann.get("/apps/shop/builds/2").json()
    assert (shown["id"], shown["details"]["number"], shown["details"]["failure"]) == (second.id, 2, None)
    for nothing in ("0", "3", "99999999999"):
        assert ann.get(f"/apps/shop/builds/{nothing}").status_code == 404
    newest = ann.get("/apps/shop/builds", range="started_at ..; max=1, order=desc").json()
    assert [one["id"] for one in newest] == [second.id]


def test_a_waiting_build_is_cancelled_at_once(
    ann: Client, everyone: People, app: App, platform: Platform, hints: RecordedHints
) -> None:
    builds.start_build(platform.db, app, app.owner, "sources/x", "a" * 40)
    assert everyone.eve.delete("/apps/shop/builds/1").status_code == 403
    hints.taken()
    answer = everyone.bob.delete("/apps/shop/builds/1")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["details"]["failure"] == "The build was cancelled by bob@example.com."
    assert hints.taken() == {"builds", "cancelled"}
    assert builds.claim_build(platform.db, "node") is None
    assert said(platform, app) == ["Build 1 cancelled by user bob@example.com"]
    again = ann.delete("/apps/shop/builds/1")
    assert again.status_code == 422 and "it has failed already" in again.json()["message"]


def test_a_running_build_loses_its_claim(ann: Client, app: App, platform: Platform) -> None:
    running = queue(platform.db, app, app.owner)
    assert ann.delete(f"/apps/shop/builds/{running.id}").status_code == 200
    assert not builds.keep_claim(platform.db, running)
    assert builds.finish_build(platform.db, running, builds.Built("b", "c", 1, {}, None)) is None
    assert not builds.fail_build(platform.db, running, "too late")


def test_who_follows_reads_that_it_was_cancelled(ann: Client, app: App, platform: Platform, settings: Settings) -> None:
    queue(platform.db, app, app.owner)
    url = path_of(settings, ann.delete("/apps/shop/builds/1").json()["output_stream_url"])
    for _ in range(2):  # as often as somebody is killed in it
        (ended,) = builds.ended_builds(platform.db) or [builds.list_builds(platform.db, app)[0]]
        asyncio.run(build_clearing.clear(platform, ended))
    assert builds.ended_builds(platform.db) == []
    output = ann.http.get(url).text
    assert output == " !     The build was cancelled by ann@example.com.\n !\n !     Push rejected, the build failed.\n"
    assert ann.http.get(url, headers={"Range": "bytes=7-"}).text == output[7:]


def test_a_cache_is_purged(ann: Client, everyone: People, app: App, platform: Platform) -> None:
    platform.store.put(f"caches/{app.id}", [b"x"])
    running = queue(platform.db, app, app.owner)
    assert everyone.eve.delete("/apps/shop/build-cache").status_code == 403
    assert ann.delete("/apps/shop/build-cache").status_code == 200
    assert not list(platform.store.list("caches/"))
    assert not builds.may_save_cache(platform.db, running)
    builds.finish_build(platform.db, running, builds.Built("b", "c", 1, {}, None))
    assert builds.may_save_cache(platform.db, queue(platform.db, app, app.owner))
    assert ann.delete("/apps/shop/build-cache").status_code == 200


def test_a_release_whose_slug_is_gone_is_not_offered(ann: Client, app: App, platform: Platform) -> None:
    from pogo.services import garbage

    for number in range(4):
        deploy(platform.db, app, app.owner, version=f"{number}" * 40)
    garbage.prune_slugs(platform.db, 2)
    releases = {one["version"]: one for one in ann.get("/apps/shop/releases").json()}
    assert [version for version, one in releases.items() if one["eligible_for_rollback"]] == [4, 5]
    refused = ann.post("/apps/shop/releases", {"release": releases[2]["id"]})
    assert refused.status_code == 422 and "no longer kept" in refused.json()["message"]
    assert ann.get(f"/apps/shop/slugs/{releases[2]['slug']['id']}").json()["deleted_at"]
