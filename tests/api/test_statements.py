"""A list of twenty costs as many statements of SQL as a list of two: nothing is asked for row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api_rig import People
from full_house import House
from operations import OF_AN_APP, OTHERS
from sqlalchemy import event

from pogo.model import App, Release
from pogo.services.database import Database

FEW, MANY = 2, 20
#: Lists that do not grow with what people do: catalogues of the platform, and what nobody can have here. Those of
#: usage have a row for each day or month, with more in it.
FIXED = {
    "GET /account/credits",
    "GET /account/features",
    "GET /account/invoices",
    "GET /account/usage/daily",
    "GET /account/usage/monthly",
    "GET /addon-attachments",
    "GET /addon-services",
    "GET /addons",
    "GET /apps/{app}/addon-attachments",
    "GET /apps/{app}/addons",
    "GET /apps/{app}/available-dyno-sizes",
    "GET /apps/{app}/available-stacks",
    "GET /apps/{app}/buildpack-installations",
    "GET /apps/{app}/features",
    "GET /apps/{app}/formation",
    "GET /apps/{app}/telemetry-drains",
    "GET /buildpacks/{namespace}/{name}/revisions",
    "GET /client/v11/apps/{app}/transfers",
    "GET /dyno-sizes",
    "GET /generations",
    "GET /pipelines/{pipeline}/test-runs",
    "GET /regions",
    "GET /spaces",
    "GET /stacks",
    "GET /teams/permissions",
    "GET /teams/{team}/addons",
    "GET /teams/{team}/allowed-addon-services",
    "GET /teams/{team}/features",
    "GET /teams/{team}/identity-providers",
    "GET /teams/{team}/invoices",
    "GET /teams/{team}/spaces",
    "GET /teams/{team}/usage/daily",
    "GET /teams/{team}/usage/monthly",
}
#: Reads that are no lists: of the browser, of streams, and what needs an id of something else.
NOT_ASKED = ("/auth/", "/logs/", "/streams/", "/join/", "/oauth/authorize", "/uploads/", "/slug-images/", "/metrics")
OPERATORS = ("/users", "/invitations", "/audit-events")


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        found.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_what_lists_cost(everyone: People, app: App, release: Release, db: Database) -> None:
    ann = everyone.ann
    line = ann.post("/pipelines", {"name": "line"}).json()["id"]
    ann.post("/pipeline-couplings", {"app": "shop", "pipeline": line, "stage": "staging"})
    target = ann.post("/apps", {"name": "target"}).json()["id"]
    ann.post("/pipeline-couplings", {"app": "target", "pipeline": line, "stage": "production"})
    promotion = ann.post(
        "/pipeline-promotions",
        {"pipeline": {"id": line}, "source": {"app": {"id": app.id}}, "targets": [{"app": {"id": target}}]},
    ).json()["id"]
    team = ann.post("/teams", {"name": "guild"}).json()["id"]
    assert release.slug_id
    house = House(everyone.users["ann"].id, app.id, release.id, release.slug_id, line, promotion, team)
    names = {"app": "shop", "pipeline": line, "promotion": promotion, "team": "guild", "member": "ann@example.com"}
    names |= {"user": "~", "stage": "review", "release": "v2", "namespace": "heroku", "name": "python"}
    every = {key.replace(" ", " /apps/{app}", 1) for key in OF_AN_APP} | OTHERS.keys()
    reads = [key for key in sorted(every) if key.startswith("GET") and not key[4:].startswith(NOT_ASKED)]

    def cost() -> dict[str, tuple[int, int]]:
        """(rows, statements) of each list"""
        found = {}
        for key in reads:
            path = re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], "none"), key[4:])
            client = everyone.root if key[4:] in OPERATORS else ann
            ask = "?start=2026-01&end=2026-02" if "/usage/monthly" in path else "?start=2026-01-01&end=2026-01-02"
            url = path + (ask if "/usage/" in path else "")
            http: Any = client.http
            with counted(db) as statements:
                answer = http.get(url, headers={"Authorization": f"Bearer {client.token}"})
            if answer.status_code < 300 and isinstance(answer.json(), list):
                found[key] = (len(answer.json()), len(statements))
        return found

    with db.write() as session:
        house.prepare(session)
        house.fill(session, range(FEW))
    cost()
    few = cost()
    with db.write() as session:
        house.fill(session, range(FEW, MANY))
    cost()
    many = cost()
    assert {key for key in few if many[key][0] <= few[key][0]} == FIXED & few.keys(), "they do not grow"
    assert few.keys() >= FIXED, "these are no lists"
    assert len(few.keys() - FIXED) > 30
    dear = {key: (few[key][1], many[key][1]) for key in few if many[key][1] > few[key][1]}
    assert dear == {}, "statements of a few and of many"
