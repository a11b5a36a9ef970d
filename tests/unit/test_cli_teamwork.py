"""`pogo` pipelines, webhooks, teams: what is asked of the API, and what is shown of its answers."""

from __future__ import annotations

from typing import Any

import cli_double
import pytest
from cli_double import APP, DATE, Cli

cli = cli_double.cli

PIPELINE: dict[str, Any] = {"id": "p1", "name": "line", "owner": {"id": "2", "type": "user"}}
LIVE = {**APP, "id": "live-id", "name": "live"}
COUPLING = {"id": "c1", "app": {"id": APP["id"]}, "stage": "staging", "pipeline": PIPELINE}


@pytest.fixture
def line(cli: Cli) -> Cli:
    """The pipeline `line`: myapp for staging, live for production."""
    cli.answer("GET /pipelines?eq[name]=line", [PIPELINE])
    cli.answer("GET /pipelines?eq[name]=none", [])
    cli.answer("GET /apps/myapp/pipeline-couplings", COUPLING)
    couplings = [COUPLING, {**COUPLING, "id": "c2", "app": {"id": "live-id"}, "stage": "production"}]
    cli.answer("GET /pipelines/p1/pipeline-couplings", couplings)
    cli.answer("POST /filters/apps", [APP, LIVE])
    return cli


def test_a_pipeline_is_shown(line: Cli) -> None:
    shown = line.run("pipelines:info", "line").out
    assert [row.split() for row in shown.splitlines() if "myapp" in row or "live" in row] == [
        ["myapp", "staging"],
        ["live", "production"],
    ]
    gone = line.run("pipelines:info", "none")
    assert (gone.status, "There is no pipeline none" in gone.err) == (1, True)


def test_the_stage_is_guessed_by_the_name_of_the_app(line: Cli) -> None:
    line.answer("POST /pipelines", PIPELINE, 201)
    line.answer("POST /pipeline-couplings", COUPLING, 201)
    for app, stage in (("shop-staging", "staging"), ("shop-dev", "development"), ("shop", "production")):
        assert line.run("pipelines:create", "line", "-a", app).status == 0
        assert line.requests[-1].body == {"app": app, "pipeline": "p1", "stage": stage}


@pytest.mark.parametrize(("end", "status"), [("succeeded", 0), ("failed", 1)])
def test_a_promotion_waits_for_its_targets(line: Cli, monkeypatch: pytest.MonkeyPatch, end: str, status: int) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    target = {"id": "t1", "app": {"id": "live-id"}, "status": "pending", "error_message": None}
    line.answer("POST /pipeline-promotions", {"id": "x"}, 201)
    line.answer("GET /pipeline-promotions/x/promotion-targets", [target])
    line.answer("GET /pipeline-promotions/x/promotion-targets", [{**target, "status": end}])
    done = line.run("pipelines:promote", "-a", "myapp")
    assert (done.status, f"live: {end}" in done.out) == (status, True)
    sent = next(one.body for one in line.requests if one.path == "/pipeline-promotions")
    assert (sent["source"], sent["targets"]) == ({"app": {"id": APP["id"]}}, [{"app": {"id": "live-id"}}])
    assert "not in the pipeline" in line.run("pipelines:promote", "-a", "myapp", "-t", "nowhere").err


def test_a_webhook_and_its_secret(cli: Cli) -> None:
    cli.answer("POST /apps/myapp/webhooks", {"id": "w1"}, 201, Heroku_Webhook_Secret="s3cret")
    words = ("-i", "api:release, dyno", "-l", "sync", "-u", "https://x.example.com", "-t", "Bearer 1")
    done = cli.run("webhooks:add", "-a", "myapp", *words)
    assert (done.status, "s3cret" in done.out) == (0, True)
    assert cli.requests[-1].body == {
        "authorization": "Bearer 1",
        "include": ["api:release", "dyno"],
        "level": "sync",
        "url": "https://x.example.com",
    }


def test_deliveries(cli: Cli) -> None:
    delivery = {
        "id": "d1",
        "created_at": DATE,
        "event": {"id": "e1", "include": "dyno"},
        "last_attempt": {"code": None, "error_class": "x.example.com is not found"},
        "next_attempt_at": None,
        "num_attempts": 1,
        "status": "failed",
        "webhook": {"id": "w1", "level": "notify"},
    }
    cli.answer("GET /apps/myapp/webhook-deliveries", [delivery])
    assert "not found" in cli.run("webhooks:deliveries", "-a", "myapp").out
    assert cli.requests[0].headers["range"] == "seq ..; order=desc,max=1000"
    assert "no deliveries" in cli.run("webhooks:deliveries", "-a", "myapp", "-s", "pending").out


def test_members_of_a_team(cli: Cli) -> None:
    cli.answer("GET /teams/acme/members", [{"email": "a@x.com", "role": "admin"}])
    cli.answer("GET /teams/acme/invitations", [{"user": {"email": "b@x.com"}, "role": "member"}])
    shown = cli.run("members", "-t", "acme").out
    assert [row.split() for row in shown.splitlines() if "@" in row] == [
        ["a@x.com", "admin"],
        ["b@x.com", "member", "pending"],
    ]
    assert "a@x.com" not in cli.run("members", "-t", "acme", "--pending").out
    cli.answer("PATCH /teams/acme/members", {})
    cli.run("members:set", "a@x.com", "-t", "acme", "-r", "viewer")
    assert cli.requests[-1].body == {"email": "a@x.com", "role": "viewer"}
    assert cli.run("members:remove", "-t", "acme").status == 2


def test_an_app_is_locked_once(cli: Cli) -> None:
    cli.answer("GET /teams/apps/myapp", {"locked": False})
    cli.answer("PATCH /teams/apps/myapp", {"locked": True})
    assert cli.run("lock", "-a", "myapp").status == 0
    assert cli.calls == ["GET /teams/apps/myapp", "PATCH /teams/apps/myapp"]
    again = cli.run("unlock", "-a", "myapp")
    assert (again.status, "unlocked already" in again.err) == (1, True)
