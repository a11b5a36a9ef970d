"""Each operation of Heroku's schema is routed or absent for a reason; what reads is asked, and checked by it."""

from __future__ import annotations

import re

from api_rig import People
from heroku_schema import HerokuSchema
from schema_operations import NOTHING_THERE, REASONS, operations

from pogo.model import App, Release

NAMES = {
    "app": "shop",
    "team-app": "team-shop",
    "account": "~",
    "user-preferences": "~",
    "team": "guild",
    "team-preferences": "guild",
    "release": "v2",
    "formation": "web",
    "collaborator": "bob@example.com",
    "team-app-collaborator": "ann@example.com",
    "domain": "shop.localhost",
    "stack": "pogo-13",
    "region": "local",
    "dyno-size": "basic",
    "oauth-authorization": "~",
    "team-member": "ann@example.com",
}


def test_each_operation(everyone: People, app: App, release: Release, heroku_schema: HerokuSchema) -> None:
    heroku_schema.require()
    ann = everyone.ann
    paths = ann.http.get("/openapi.json").json()["paths"]
    found = operations(
        heroku_schema.document, [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    )
    routed = [one for one in found if one.state == "routed"]
    assert len(found) == 305
    assert len(routed) >= 198
    assert [one for one in found if one.state == "absent" and not one.reason] == []
    assert REASONS.keys() == {one.resource for one in found if one.state == "absent"}, "no reason too many"

    ann.post("/teams", {"name": "guild"})
    ann.post("/teams/apps", {"name": "team-shop", "team": "guild"})
    line = ann.post("/pipelines", {"name": "line"}).json()["id"]
    coupling = ann.post("/pipeline-couplings", {"app": "shop", "pipeline": line, "stage": "staging"}).json()["id"]
    names = {**NAMES, "pipeline": line, "pipeline-coupling": coupling}
    answered, others = set(), {}
    for one in routed:
        if one.method == "GET":
            path = re.sub(
                r"\{([\w-]+)\}",
                lambda found: names.get(found[1], "none"),
                one.href.replace("stage/{pipeline-coupling}", "stage/review"),
            )
            answer = ann.get(path)
            if answer.status_code < 300:
                answered.add(one.href)
            else:
                others[path] = answer.status_code
    wrong = {path: status for path, status in others.items() if status != 404 and "/usage/" not in path}
    assert wrong == {}, "usage alone wants to know since when"
    assert len(answered) >= 80, sorted(others)


def test_what_nobody_can_have_here(everyone: People, app: App) -> None:
    everyone.ann.post("/teams", {"name": "guild"})
    for operation, said in NOTHING_THERE.items():
        method, _, path = operation.partition(" ")
        asked = re.sub(r"\{([\w-]+)\}", lambda found: {"app": "shop", "team": "guild"}.get(found[1], "any"), path)
        answer = everyone.ann.call(method, asked, {"plan": "any"} if method == "POST" else None)
        assert answer.status_code == 404 and said in answer.json()["message"], (operation, answer.text)
