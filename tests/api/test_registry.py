"""Names of buildpacks: searched by everybody, changed by the operator."""

from __future__ import annotations

from base64 import b64decode

from api_rig import Client, People

from pogo.model import App
from pogo.rules.buildpacks import Git
from pogo.services import buildpacks
from pogo.services.database import Database

URL = "https://git.example.com/packs/cobol.git#v1"


def names(client: Client, query: str = "") -> list[str]:
    return [f"{one['namespace']}/{one['name']}" for one in client.get(f"/buildpacks{query}").json()]


def test_the_built_in_names(everyone: People) -> None:
    """As `buildpacks:search`, `:info` and `:versions` of the official client ask, without a login."""
    nobody = everyone.nobody
    assert names(nobody, "?in[name][]=python&in[name][]=scala") == ["heroku/python", "heroku/scala"]
    assert "heroku-community/multi-procfile" in names(nobody, "?in[namespace][]=heroku-community")
    assert names(nobody, "?like[description]=NodeJS,%20a%20part") == ["heroku/nodejs"]
    ours = nobody.get("/buildpacks/heroku%2Fpython").json()
    assert (ours["category"], ours["source"]) == ("languages", {"type": "platform"})
    official = nobody.get("/buildpacks/heroku%2Fscala").json()
    assert official["source"] == {"type": "github", "owner": "heroku", "repo": "heroku-buildpack-scala"}
    [revision] = nobody.get("/buildpacks/heroku%2Fscala/revisions").json()
    assert (revision["release"], revision["status"]) == (1, "published")
    readme = nobody.get("/buildpacks/heroku%2Fscala/readme").json()
    assert b"https://github.com/heroku/heroku-buildpack-scala" in b64decode(readme["content"])
    for path in ("", "/revisions", "/readme"):
        assert nobody.get(f"/buildpacks/heroku%2Fcobol{path}").status_code == 404


def test_the_operator_adds_replaces_and_removes_names(everyone: People, app: App, db: Database) -> None:
    root, ann = everyone.root, everyone.ann
    update = {"updates": [{"buildpack": "acme/cobol"}]}
    assert ann.put("/apps/shop/buildpack-installations", update).status_code == 422
    made = root.put("/buildpacks/acme/cobol", {"url": URL, "description": "COBOL, as it was"})
    assert (made.status_code, made.json()["url"], made.json()["operator"]) == (200, URL, True)
    assert ann.put("/apps/shop/buildpack-installations", update).json()[0]["buildpack"]["name"] == "acme/cobol"
    assert names(ann, "?like[description]=as%20it%20was") == ["acme/cobol"]
    root.put("/buildpacks/acme/cobol", {"url": "https://git.example.com/packs/cobol.git#v2"})
    shown = ann.get("/buildpacks/acme%2Fcobol").json()
    assert (shown["revision"], shown["description"]) == (2, "COBOL, as it was")
    assert buildpacks.registry(db).resolve("acme/cobol") == Git("https://git.example.com/packs/cobol.git", "v2")

    root.put("/buildpacks/heroku/python", {"url": URL})
    assert buildpacks.registry(db).resolve("heroku/python") == Git("https://git.example.com/packs/cobol.git", "v1")
    assert root.delete("/buildpacks/heroku/python").status_code == 200
    gone = root.delete("/buildpacks/heroku/python")
    assert (gone.status_code, "a part of the platform" in gone.json()["message"]) == (404, True)
    assert ann.get("/buildpacks/heroku%2Fpython").json()["source"] == {"type": "platform"}


def test_what_cannot_be_a_name(everyone: People) -> None:
    assert everyone.ann.put("/buildpacks/acme/cobol", {"url": URL}).status_code == 403
    assert everyone.ann.delete("/buildpacks/acme/cobol").status_code == 403
    for path, url, text in (
        ("acme/co.bol", URL, "cannot be a name of a buildpack"),
        ("acme/cobol", "heroku/python", "not for another name"),
        ("acme/cobol", "ftp://x", "is not a buildpack"),
        ("acme/cobol", "https://x/y#--upload-pack=z", "cannot be the branch"),
    ):
        answer = everyone.root.put(f"/buildpacks/{path}", {"url": url})
        assert (answer.status_code, text in answer.json()["message"]) == (422, True), answer.text


def test_mirrors(everyone: People, db: Database) -> None:
    root = everyone.root
    new = {"prefix": "https://github.com/", "url": "http://mirror.example.com/github/"}
    assert everyone.ann.post("/buildpack-mirrors", new).status_code == 403
    made = root.post("/buildpack-mirrors", new)
    assert made.status_code == 201
    root.post("/buildpack-mirrors", {**new, "url": "http://other.example.com/"})
    assert [one["url"] for one in everyone.ann.get("/buildpack-mirrors").json()] == ["http://other.example.com/"]
    assert buildpacks.registry(db).mirrored("https://github.com/x/y") == "http://other.example.com/x/y"
    for body, text in (
        ({"prefix": "github.com", "url": "http://x/"}, "is a URL"),
        ({"prefix": "https://github.com/", "url": "file:///etc/"}, "is a URL"),
        ({"prefix": "https://github.com/", "url": "http://x"}, "end in a slash"),
        ({"prefix": "https://github.com/"}, "`url` is required"),
    ):
        answer = root.post("/buildpack-mirrors", body)
        assert (answer.status_code, text in answer.json()["message"]) == (422, True), answer.text
    assert everyone.ann.delete(f"/buildpack-mirrors/{made.json()['id']}").status_code == 403
    assert root.delete(f"/buildpack-mirrors/{made.json()['id']}").status_code == 200
    assert root.delete(f"/buildpack-mirrors/{made.json()['id']}").status_code == 404
