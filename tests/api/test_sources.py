"""Sources of builds: uploaded here, or fetched from a server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from api_rig import Client, People, RecordedHints, path_of

from pogo.api import signed_urls
from pogo.model import App
from pogo.services import builds
from pogo.services.platform import Platform
from pogo.settings import Settings

ARCHIVE = b"an archive " * 1000
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """A server on this machine that has the archive."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = {"/app.tgz": 200, "/moved": 302, "/loop": 302}.get(self.path, 404)
            self.send_response(status)
            self.send_header("Location", {"/moved": "/app.tgz"}.get(self.path, self.path))
            self.end_headers()
            self.wfile.write(ARCHIVE)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_upload_is_built(
    ann: Client, app: App, platform: Platform, settings: Settings, hints: RecordedHints
) -> None:
    urls = ann.post("/apps/shop/sources").json()["source_blob"]
    put, get = (path_of(settings, urls[name]) for name in ("put_url", "get_url"))
    early = ann.post("/apps/shop/builds", {"source_blob": {"url": urls["get_url"]}})
    assert (early.status_code, "put_url" in early.json()["message"]) == (422, True)
    assert ann.http.put(put, content=iter([ARCHIVE[:5], ARCHIVE[5:]])).status_code == 200
    assert ann.http.get(get).content == ARCHIVE
    hints.taken()

    blob = {"url": urls["get_url"], "version": "v1", "checksum": f"SHA256:{SHA256}"}
    packs = [{"url": "urn:buildpack:heroku/nodejs"}, {"name": "heroku/python"}]
    made = ann.post("/apps/shop/builds", {"source_blob": blob, "buildpacks": packs})
    assert (made.status_code, made.json()["status"], made.json()["source_blob"]["version"]) == (201, "pending", "v1")
    assert [pack["name"] for pack in made.json()["buildpacks"]] == ["heroku/nodejs", "heroku/python"]
    assert hints.taken() == {"builds"}
    row = builds.get_build(platform.db, made.json()["id"])
    assert row
    with platform.store.open(row.source) as file:
        assert file.read() == ARCHIVE
    platform.store.delete(row.source)  # as the builder does at the end
    assert ann.http.get(get).content == ARCHIVE, "an upload can be built again"


def test_an_upload_url_is_for_one_thing_and_an_hour(
    ann: Client, platform: Platform, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = ann.post("/sources").json()["source_blob"]
    put, get = (path_of(settings, urls[name]) for name in ("put_url", "get_url"))
    assert ann.http.put(get, content=b"x").status_code == 403
    assert ann.http.get(put).status_code == 403
    assert ann.http.put(put[:-1], content=b"x").status_code == 403
    assert ann.http.put(put.replace("/uploads/", "/uploads/9"), content=b"x").status_code == 403
    assert ann.http.get(get).status_code == 404
    ann.http.put(put, content=b"x")
    assert len(list(platform.store.list("uploads/"))) == 1
    now = signed_urls.time.time()
    monkeypatch.setattr(signed_urls.time, "time", lambda: now + 3700)
    assert ann.http.put(put, content=b"x").status_code == 403
    assert ann.http.get(get).status_code == 403
    assert ann.post("/apps/shop/builds", {"source_blob": {"url": urls["get_url"]}}).status_code == 403
    ann.post("/sources")
    assert list(platform.store.list("uploads/")) == []


def test_too_much(ann: Client, platform: Platform, settings: Settings) -> None:
    settings.slug_max_mb = 1
    urls = ann.post("/sources").json()["source_blob"]
    answer = ann.http.put(path_of(settings, urls["put_url"]), content=b"x" * ((1 << 20) + 1))
    assert (answer.status_code, "larger than 1 MB" in answer.json()["message"]) == (422, True)
    assert list(platform.store.list("")) == []
    assert list(settings.tmp_dir.iterdir()) == []


def test_a_source_is_fetched(everyone: People, app: App, platform: Platform, web: str) -> None:
    """From this machine for its operator only; also after a redirect."""
    for path in ("/app.tgz", "/moved"):
        body = {"source_blob": {"url": web + path}}
        made = everyone.root.post("/apps/shop/builds", body)
        assert made.status_code == 201, made.text
        row = builds.get_build(platform.db, made.json()["id"])
        assert row and platform.store.open(row.source).read() == ARCHIVE
        refused = everyone.ann.post("/apps/shop/builds", body)
        assert (refused.status_code, "not a public server" in refused.json()["message"]) == (422, True)


def test_sources_that_cannot_be_fetched(everyone: People, app: App, platform: Platform, web: str) -> None:
    for blob, text in (
        ({"url": f"{web}/none"}, "its server says 404"),
        ({"url": f"{web}/loop"}, "redirects"),
        ({"url": f"{web}/app.tgz", "checksum": "SHA256:00"}, SHA256),
        ({"url": "http://127.0.0.1:9/x"}, "cannot be fetched"),
        ({"url": "http://nowhere.invalid/x"}, "cannot be fetched"),
        ({"url": "http://[::1/x"}, "cannot be fetched"),
        ({"url": "file:///etc/passwd"}, "http or https"),
        ({"url": ""}, "http or https"),
        ({"url": 5}, "`source_blob.url` must be a string"),
        ({}, "`source_blob.url` is required"),
    ):
        answer = everyone.root.post("/apps/shop/builds", {"source_blob": blob})
        assert answer.status_code == 422, answer.text
        assert text in answer.json()["message"]
    assert everyone.root.post("/apps/shop/builds", {}).status_code == 422
    packs = {"source_blob": {"url": f"{web}/app.tgz"}, "buildpacks": [{"url": "heroku/nothing"}]}
    assert everyone.root.post("/apps/shop/builds", packs).status_code == 422
    assert everyone.ann.get("/apps/shop/builds").json() == []
    assert list(platform.store.list("")) == []


def test_without_a_key_nothing_is_signed(ann: Client, settings: Settings) -> None:
    (settings.state_dir / "keys" / "url.key").unlink()
    answer = ann.post("/sources")
    assert (answer.status_code, "bin/up" in answer.json()["message"]) == (500, True)
