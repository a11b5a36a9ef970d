"""POST /app-setups: an app from a source with an app.json; and what the loop does after its build."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from typing import Any

import pytest
from api_rig import Client, People, path_of

from pogo.logs import Line
from pogo.loops.setups import Setups
from pogo.model import Dyno, Formation, Release
from pogo.services import access, apps, builds, releases
from pogo.services.platform import Platform
from pogo.settings import Settings

MANIFEST: dict[str, Any] = {
    "stack": "cedar-14",
    "buildpacks": [{"url": "urn:buildpack:heroku/python"}],
    "env": {"A": "1", "SECRET": {"generator": "secret"}, "KEY": {"description": "of another service"}},
    "formation": {"web": {"quantity": 2, "size": "performance-m"}, "worker": {"quantity": 1, "size": "no-such"}},
    "scripts": {"postdeploy": "bin/setup"},
    "success_url": "/welcome",
}


def source(client: Client, settings: Settings, manifest: object, top: str = "shop-1234/") -> str:
    """The URL of an uploaded source, made as code hosts make them."""
    data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in (("app.json", data), ("lib/app.json", b"another"), ("Procfile", b"web: x\n")):
            info = tarfile.TarInfo(top + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    urls = client.post("/sources").json()["source_blob"]
    assert client.http.put(path_of(settings, urls["put_url"]), content=buffer.getvalue()).status_code == 200
    return str(urls["get_url"])


def set_up(client: Client, settings: Settings, manifest: object = MANIFEST, **more: Any) -> Any:
    body = {"source_blob": {"url": source(client, settings, manifest)}, "app": {"name": "shop"}, **more}
    return client.post("/app-setups", body)


def finish(platform: Platform, *, types: dict[str, str]) -> Release:
    build = builds.claim_build(platform.db, "node")
    assert build
    release = builds.finish_build(platform.db, build, builds.Built("slugs/x", "0" * 64, 10, types, "Python"))
    assert release
    return release


def turn(platform: Platform) -> None:
    while asyncio.run(Setups(platform).turn()):
        pass


def test_an_app_is_set_up(everyone: People, platform: Platform, settings: Settings) -> None:
    ann = everyone.ann
    made = set_up(ann, settings, overrides={"env": {"KEY": "k", "A": "2"}})
    assert (made.status_code, made.json()["status"], made.json()["build"]["status"]) == (202, "pending", "pending")
    assert made.json()["resolved_success_url"] == "http://shop.localhost:8080/welcome"
    config = ann.get("/apps/shop/config-vars").json()
    assert (config["A"], config["KEY"], len(config["SECRET"])) == ("2", "k", 64)
    assert ann.get("/apps/shop/buildpack-installations").json()[0]["buildpack"]["name"] == "heroku/python"
    turn(platform)
    path = f"/app-setups/{made.json()['id']}"
    assert ann.get(path).json()["status"] == "pending"

    finish(platform, types={"web": "x", "worker": "y"})
    turn(platform)
    turn(platform)
    with platform.db.read() as session:
        rows = {row.type: (row.quantity, row.size) for row in session.query(Formation)}
        [dyno] = session.query(Dyno)
    assert rows["web"] == (2, "Performance-M")
    assert rows["worker"][0] == 1, "a size that is unknown here does not stand in the way"
    assert (dyno.kind, dyno.type, dyno.command) == ("run", "postdeploy", "bin/setup")
    assert ann.get(path).json()["status"] == "pending"
    platform.logs.append(dyno.app_id, [Line(1.0, "app", dyno.name, "tables made")])
    with platform.db.write() as session:
        row = session.get_one(Dyno, dyno.id)
        row.state, row.exit_status = "complete", 0
    turn(platform)
    done = ann.get(path).json()
    assert (done["status"], done["failure_message"]) == ("succeeded", None)
    assert done["postdeploy"] == {"exit_code": 0, "output": "tables made\n"}
    assert everyone.eve.get(path).status_code in {403, 404}


def test_setups_that_fail_later(everyone: People, platform: Platform, settings: Settings) -> None:
    ann = everyone.ann
    path = f"/app-setups/{set_up(ann, settings, overrides={'env': {'KEY': 'k'}}).json()['id']}"
    build = builds.claim_build(platform.db, "node")
    assert build
    builds.fail_build(platform.db, build, "no")
    turn(platform)
    failed = ann.get(path).json()
    assert (failed["status"], failed["build"]["status"]) == ("failed", "failed")
    assert "build failed" in failed["failure_message"]

    apps.destroy_app(platform.db, access.find_app(platform.db, everyone.users["ann"], "shop"))
    path = f"/app-setups/{set_up(ann, settings, {'scripts': {'postdeploy': 'exit 3'}}).json()['id']}"
    finish(platform, types={"web": "x"})
    turn(platform)
    with platform.db.write() as session:
        [row] = session.query(Dyno)
        row.state, row.exit_status = "complete", 3
    turn(platform)
    assert ann.get(path).json()["failure_message"] == "The postdeploy script failed (exit status 3)."

    apps.destroy_app(platform.db, access.find_app(platform.db, everyone.users["ann"], "shop"))
    path = f"/app-setups/{set_up(ann, settings, {}).json()['id']}"
    release = finish(platform, types={"web": "x", "release": "migrate"})
    turn(platform)
    assert ann.get(path).json()["status"] == "pending"
    releases.conclude(platform.db, release.id, succeeded=False)
    turn(platform)
    assert ann.get(path).json()["failure_message"] == "The release command failed."


@pytest.mark.parametrize(
    ("manifest", "more", "text"),
    [
        (MANIFEST, {}, "config var KEY is required"),
        (b"{", {}, "app.json is not valid JSON"),
        ({"env": {"A": 5}}, {}, "`env.A` must be a string or an object"),
        ({"env": {"A B": "x"}}, {}, "'A B' is not valid"),
        ({"buildpacks": [{"url": "acme/none"}]}, {}, "Couldn't find the buildpack 'acme/none'"),
        ({}, {"app": {"name": "X"}}, "Name must start with a letter"),
    ],
)
def test_what_is_refused_leaves_nothing(
    everyone: People, platform: Platform, settings: Settings, manifest: object, more: dict[str, Any], text: str
) -> None:
    answer = set_up(everyone.ann, settings, manifest, **more)
    assert answer.status_code == 422, answer.text
    assert text in answer.json()["message"]
    assert everyone.ann.get("/apps").json() == []
    assert list(platform.store.list("sources/")) == []
    assert builds.claim_build(platform.db, "node") is None


def test_a_source_without_app_json(everyone: People, settings: Settings) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("./x"))
    for content, text in ((buffer.getvalue(), "no app.json in its top directory"), (b"none", "The source is refused")):
        urls = everyone.ann.post("/sources").json()["source_blob"]
        everyone.ann.http.put(path_of(settings, urls["put_url"]), content=content)
        answer = everyone.ann.post("/app-setups", {"source_blob": {"url": urls["get_url"], "checksum": None}})
        assert (answer.status_code, text in answer.json()["message"]) == (422, True), answer.text
