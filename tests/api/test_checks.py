"""Checks of web dynos, and what the router counted: endpoints of our own."""

from __future__ import annotations

import time
from typing import Any

import pytest
from api_rig import Client, People, RecordedHints, said
from test_router_log import RECORD

from pogo.model import App
from pogo.rules.router_log import RouterRecord
from pogo.services.platform import Platform

DEFAULTS = {"ready_path": None, "live_path": None, "live_period": 10, "live_timeout": 5, "live_failures": 3}


def test_checks_are_shown_and_changed(ann: Client, app: App, hints: RecordedHints, platform: Platform) -> None:
    assert ann.get("/apps/shop/checks").json() == DEFAULTS
    hints.taken()
    changed = ann.patch("/apps/shop/checks", {"live_path": "/live", "live_period": 30, "ready_path": "/ready?x=1"})
    assert changed.json() == {**DEFAULTS, "live_path": "/live", "live_period": 30, "ready_path": "/ready?x=1"}
    assert hints.taken() == {"dynos", "liveness"}
    assert said(platform, app)[-1].startswith("Set checks ready_path = /ready?x=1, live_path = /live, live_period = 30")
    assert ann.get("/apps/shop/checks").json() == changed.json()
    assert ann.patch("/apps/shop/checks", {"live_path": None}).json()["live_path"] is None
    assert ann.patch("/apps/shop/checks", {}).json() == {**changed.json(), "live_path": None}
    assert hints.taken() == {"dynos", "liveness"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"live_path": "live"}, "live_path must be a path such as /health"),
        ({"live_path": 3}, "`live_path` must be a string"),
        ({"live_failures": 0}, "live_failures must be from 1 to 100, not 0"),
        ({"live_failures": "3"}, "`live_failures`"),
        ({"live_timeout": 20}, "must not be longer than live_period"),
    ],
)
def test_checks_that_cannot_be(ann: Client, app: App, body: Any, words: str) -> None:
    answer = ann.patch("/apps/shop/checks", body)
    assert answer.status_code == 422
    assert words in answer.json()["message"]
    assert ann.get("/apps/shop/checks").json() == DEFAULTS


def test_checks_and_metrics_are_for_those_who_may_see_the_app(everyone: People, app: App) -> None:
    for path in ("/apps/shop/checks", "/apps/shop/router-metrics"):
        assert everyone.bob.get(path).status_code == 200
        assert everyone.eve.get(path).status_code in (403, 404)
        assert everyone.nobody.get(path).status_code == 401


def request(app: App, service: int, ago: int = 0, **values: Any) -> RouterRecord:
    """A request that a dyno had for so many ms, so many minutes ago."""
    at = (int(time.time() // 60) - ago) * 60_000_000
    times = {"receiving": 0, "waited": 0, "connect": 1, "total": service + 1}
    return RECORD._replace(time=at, slot=app.slot, **{**times, **values})


def test_what_the_router_counted(ann: Client, app: App, platform: Platform) -> None:
    records = [request(app, milliseconds, 20) for milliseconds in range(1, 31)]
    records += [request(app, 5, status=404), request(app, 30_000, status=504, termination="sH")]
    platform.traffic.count(records[:10], {app.slot: app.id})
    platform.traffic.write(platform.traffic.take())
    platform.traffic.count(records[10:], {app.slot: app.id})
    shown = ann.get("/apps/shop/router-metrics?minutes=60&step=30").json()
    assert (shown["minutes"], shown["step"], shown["app"]["name"]) == (60, 30, "shop")
    assert len(shown["rows"]) == 2
    total = shown["total"]
    assert total["requests"] == 32
    assert total["rate"] == round(32 / 3600, 3)
    assert total["statuses"] == {"2xx": 30, "3xx": 0, "4xx": 1, "5xx": 0}
    assert total["errors"] == {"H12": 1}
    assert total["service"]["p50"] in (15, 16)
    assert abs(total["service"]["p99"] - 30_000) < 1000
    minutes = ann.get("/apps/shop/router-metrics").json()["rows"]
    assert len(minutes) == 60
    assert sum(row["requests"] for row in minutes) == 32
    empty = next(row for row in minutes if not row["requests"])
    assert empty["service"] == {"p50": None, "p95": None, "p99": None}
    assert ann.get("/apps/shop/router-metrics?minutes=1441").status_code == 422
    assert ann.get("/apps/shop/router-metrics?step=0").status_code == 422


def test_requests_in_prometheus_form(everyone: People, app: App, platform: Platform) -> None:
    records = [request(app, 4), request(app, 40), request(app, 0, status=503, refusal="H10", connect=-1)]
    platform.traffic.count(records, {app.slot: app.id})
    text = everyone.root.http.get("/metrics", headers={"Authorization": f"Bearer {everyone.root.token}"}).text
    assert 'pogo_router_requests_total{app="shop",status="2xx"} 2.0' in text
    assert 'pogo_router_errors_total{app="shop",code="H10"} 1.0' in text
    assert 'pogo_router_service_seconds_bucket{app="shop",le="0.005"} 1.0' in text
    assert 'pogo_router_service_seconds_bucket{app="shop",le="+Inf"} 2.0' in text
    assert 'pogo_router_service_seconds_sum{app="shop"} 0.044' in text
