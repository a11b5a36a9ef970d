"""The other doors: sources, slugs and app setups through the API, all with the checks and the builder of a push."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from installation import Installation
from small_apps import make, small
from waiting import eventually

Call = Callable[..., Any]
Member = tuple[str, bytes | str, int]


@pytest.fixture(scope="module")
def call(platform: Installation) -> Call:
    """An API call: (method, path or URL, body) → (status, answer). bytes are sent as they are, without a token."""
    token = platform.pogo("auth:token").strip()

    def request(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", platform.http_port, timeout=60)
        headers = {"Host": f"localhost:{platform.http_port}"}
        if not isinstance(body, bytes):
            headers |= {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3"}
            body = None if body is None else json.dumps(body)
        at = path.removeprefix(f"http://localhost:{platform.http_port}")
        connection.request(method, at, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, json.loads(text) if text.startswith(("{", "[")) else text

    return request


def tgz(files: Mapping[str, str], *members: Member, top: str = "") -> bytes:
    """A .tgz of files, and of members by name, link target or content, and mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content, mode in [*((top + name, text.encode(), 0o644) for name, text in files.items()), *members]:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def upload(call: Call, archive: bytes) -> str:
    """As plugins for builds from a directory do it; returns the URL to build from."""
    status, made = call("POST", "/sources")
    assert status == 201
    assert call("PUT", made["source_blob"]["put_url"], archive)[0] == 200
    return str(made["source_blob"]["get_url"])


def ended(call: Call, path: str) -> Any:
    eventually(lambda: call("GET", path)[1]["status"] != "pending")
    return call("GET", path)[1]


def test_a_source_is_uploaded_and_built(platform: Installation, call: Call) -> None:
    make(platform, "parcel", small())
    archive = tgz(small("by parcel"), top="parcel-1.2/")
    blob = {
        "url": upload(call, archive),
        "version": "v1.2",
        "checksum": f"SHA256:{hashlib.sha256(archive).hexdigest()}",
    }
    status, wrong = call("POST", "/apps/parcel/builds", {"source_blob": {**blob, "checksum": "SHA256:" + "0" * 64}})
    assert (status, "checksum" in wrong["message"]) == (422, True)
    status, build = call("POST", "/apps/parcel/builds", {"source_blob": blob})
    assert status == 201
    done = ended(call, f"/apps/parcel/builds/{build['id']}")
    output = call("GET", done["output_stream_url"])[1]
    assert done["status"] == "succeeded", output
    assert "-----> Procfile app detected" in output and "Released v2" in output
    eventually(lambda: platform.get("parcel").body == "by parcel web.1")


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (tgz({"../evil": ""}), "'../evil' points outside the tree"),
        (tgz({"/etc/evil": ""}), "'/etc/evil' points outside the tree"),
        (tgz({}, ("out", "/etc", 0o777), ("out/evil", b"x", 0o644)), "'out/evil' lies behind a symbolic link"),
        (tgz({"Procfile": "web: x"}, ("out", "../../etc/shadow", 0o777)), "symbolic links that lead out of it"),
        (tgz({}, ("bomb", bytes(300 << 20), 0o644)), "it unpacks to more than 256 MB, 100 times its size"),
        (b"not an archive", "it is not a readable .tar or .tar.gz archive"),
    ],
    ids=["up", "absolute", "behind", "out", "bomb", "none"],
)
def test_hostile_archives_are_refused_at_each_door(
    platform: Installation, call: Call, archive: bytes, reason: str
) -> None:
    if platform.call("pogo", "apps:info", "-a", "fort").returncode != 0:
        make(platform, "fort", small())
    _, build = call("POST", "/apps/fort/builds", {"source_blob": {"url": upload(call, archive)}})
    done = ended(call, f"/apps/fort/builds/{build['id']}")
    output = call("GET", done["output_stream_url"])[1]
    assert done["status"] == "failed"
    assert " !     The source is refused: " in output and reason in output
    assert output.endswith(" !     Push failed\n")

    _, slug = call("POST", "/apps/fort/slugs", {"process_types": {"web": "x"}})
    assert call("PUT", slug["blob"]["url"], archive)[0] == 200
    status, refused = call("POST", "/apps/fort/releases", {"slug": slug["id"]})
    assert (status, refused["message"].startswith("That slug cannot run: The slug is refused: ")) == (422, True), (
        refused
    )

    status, refused = call("POST", "/app-setups", {"source_blob": {"url": upload(call, archive)}})
    assert (status, "app.json" in refused["message"] or reason in refused["message"]) == (422, True), refused


def test_a_slug_made_elsewhere_runs(platform: Installation, call: Call) -> None:
    make(platform, "import", small())
    archive = tgz(small("made elsewhere"), ("./app/bin/say", b"#!/bin/sh\nid -u\n", 0o4755), top="./app/")
    new = {"process_types": {"web": "python3 server.py"}, "commit": "c0ffee", "stack": "heroku-24"}
    status, slug = call("POST", "/apps/import/slugs", new)
    assert (status, slug["blob"]["method"]) == (201, "put")
    assert call("PUT", slug["blob"]["url"], archive)[0] == 200
    status, release = call("POST", "/apps/import/releases", {"slug": slug["id"]})
    assert (status, release["version"]) == (201, 2), release
    eventually(lambda: platform.get("import").body == "made elsewhere web.1")
    assert call("GET", f"/apps/import/slugs/{slug['id']}")[1]["blob"]["method"] == "get"
    assert "1000" in platform.pogo("run", "-a", "import", "--exit-code", "--", "stat -c %a bin/say; bin/say")
    assert "755" in platform.pogo("run", "-a", "import", "--", "stat -c %a bin/say")


def test_an_app_is_set_up_from_its_app_json(platform: Installation, call: Call) -> None:
    manifest = {
        "name": "Fresh",
        "env": {"GREETING": "hello", "TOKEN": {"generator": "secret"}, "KEY": {"required": True}},
        "formation": {"web": {"quantity": 2}},
        "scripts": {"postdeploy": "echo set up with $GREETING $KEY"},
        "success_url": "/env/GREETING",
    }
    archive = tgz(small("fresh") | {"app.json": json.dumps(manifest)}, top="fresh-main/")
    asked = {"source_blob": {"url": upload(call, archive)}, "app": {"name": "fresh"}}
    status, refused = call("POST", "/app-setups", asked)
    assert (status, refused["manifest_errors"]) == (422, ["config var KEY is required"])
    status, setup = call("POST", "/app-setups", {**asked, "overrides": {"env": {"KEY": "k"}}})
    assert (status, setup["status"]) == (202, "pending"), setup
    done = ended(call, f"/app-setups/{setup['id']}")
    assert (done["status"], done["failure_message"]) == ("succeeded", None), done
    assert done["postdeploy"] == {"exit_code": 0, "output": "set up with hello k\n"}
    eventually(lambda: platform.get("fresh", "/env/GREETING").body == "hello")
    assert len(platform.get("fresh", "/env/TOKEN").body) == 64
    eventually(lambda: len(platform.pogo_json("ps", "-a", "fresh")) == 2)  # type: ignore[arg-type]
    output = call("GET", done["build"]["output_stream_url"])[1]
    assert "-----> Found app.json" in output
