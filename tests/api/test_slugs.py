"""Slugs that were made elsewhere: announced, uploaded, released."""

from __future__ import annotations

import hashlib

from api_rig import Client, People, RecordedHints, path_of

from pogo.api.resources import slugs
from pogo.model import App, Build, Release
from pogo.services import builds
from pogo.services.platform import Platform
from pogo.settings import Settings

ARCHIVE = b"what the builder will look at"
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
NEW = {"process_types": {"web": "./server -p $PORT"}, "commit": "60883d9e", "checksum": f"SHA256:{SHA256}"}


def upload(ann: Client, settings: Settings, content: bytes = ARCHIVE, **more: object) -> str:
    """The id of a slug whose archive was PUT."""
    slug = ann.post("/apps/shop/slugs", {**NEW, **more}).json()
    assert slug["blob"]["method"] == "put" and slug["size"] is None
    answer = ann.http.put(path_of(settings, slug["blob"]["url"]), content=content)
    assert answer.status_code == 200, answer.text
    return str(slug["id"])


def claimed(platform: Platform) -> Build:
    build = builds.claim_build(platform.db, "node")
    assert build and build.kind == "slug" and build.source_version == "60883d9e"
    with platform.store.open(build.source) as file:
        assert file.read() == ARCHIVE
    return build


def test_a_slug_is_uploaded_packed_and_released(
    ann: Client, app: App, platform: Platform, settings: Settings, hints: RecordedHints
) -> None:
    hints.taken()
    id = upload(ann, settings)
    assert hints.taken() == {"builds"}
    built = builds.Built("slugs/x", "a" * 64, 4096, {"never": "asked"}, "")
    assert builds.finish_build(platform.db, claimed(platform), built) is None
    shown = ann.get(f"/apps/shop/slugs/{id}").json()
    assert (shown["blob"]["method"], shown["size"], shown["checksum"]) == ("get", 4096, f"SHA256:{'a' * 64}")
    assert shown["process_types"] == NEW["process_types"]
    made = ann.post("/apps/shop/releases", {"slug": id})
    assert (made.status_code, made.json()["slug"], made.json()["version"]) == (201, {"id": id}, 2)
    assert ann.get("/apps/shop/builds").json() == [], "an upload is not one of the app's builds"
    again = ann.http.put(path_of(settings, shown["blob"]["url"]).replace("slug-images", "slug-archives"), content=b"x")
    assert again.status_code == 403


def test_slugs_that_cannot_be_released(ann: Client, app: App, platform: Platform, settings: Settings) -> None:
    slug = ann.post("/apps/shop/slugs", NEW).json()
    early = ann.post("/apps/shop/releases", {"slug": slug["id"]})
    assert (early.status_code, "Nothing was uploaded" in early.json()["message"]) == (422, True)
    url = path_of(settings, slug["blob"]["url"])
    wrong = ann.http.put(url, content=b"something else")
    assert (wrong.status_code, "checksum of the slug does not match" in wrong.json()["message"]) == (422, True)
    assert list(platform.store.list("")) == []
    assert ann.http.put(url.replace("/slug-archives/", "/slug-archives/1"), content=b"x").status_code == 403

    assert ann.http.put(url, content=ARCHIVE).status_code == 200
    build = claimed(platform)
    platform.transcripts.append(
        build.id, b" !     The slug is refused: 'x' is a device or a pipe.\n\n !     Push failed\n"
    )
    platform.transcripts.finish(build.id)
    builds.fail_build(platform.db, build, "said")
    refused = ann.post("/apps/shop/releases", {"slug": slug["id"]})
    assert refused.status_code == 422
    assert refused.json()["message"] == "That slug cannot run: The slug is refused: 'x' is a device or a pipe."
    assert ann.http.put(url, content=ARCHIVE).status_code == 200, "a better archive may follow"


def test_a_slug_that_takes_long(ann: Client, app: App, settings: Settings) -> None:
    id = upload(ann, settings)
    slugs.PATIENCE, patience = 0.2, slugs.PATIENCE
    try:
        answer = ann.post("/apps/shop/releases", {"slug": id})
    finally:
        slugs.PATIENCE = patience
    assert (answer.status_code, "still being packed" in answer.json()["message"]) == (503, True)


def test_what_cannot_be_a_slug(everyone: People, app: App, release: Release) -> None:
    ann = everyone.ann
    for body, text in (
        ({}, "`process_types` is required"),
        ({"process_types": {"my web": "x"}}, "'my web' is not a process type"),
        ({"process_types": {"web": " "}}, "needs a command"),
        ({"process_types": {"web": 5}}, "must be a string"),
        ({"process_types": {}, "stack": "cobol"}, "cobol"),
    ):
        answer = ann.post("/apps/shop/slugs", body)
        assert answer.status_code in {404, 422}
        assert text in answer.json()["message"]
    assert ann.post("/apps/shop/slugs", {"process_types": {}, "stack": "pogo-12"}).json()["stack"]["name"] == "pogo-12"
    assert everyone.eve.post("/apps/shop/slugs", NEW).status_code in {403, 404}
