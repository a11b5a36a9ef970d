"""ps:*, logs, domains:*, buildpacks:*: what is asked of the API and what is printed."""

from __future__ import annotations

import json
import time
from typing import Any

import cli_double
import pytest
from cli_double import DATE, Cli

from pogo.cli.commands import logs, ps
from pogo.cli.commands.logs import Colour

cli = cli_double.cli


def dyno(name: str, **more: Any) -> dict[str, Any]:
    kind = name.partition(".")[0]
    return {
        "id": f"id-{name}",
        "name": name,
        "type": kind,
        "command": f"start {kind}",
        "size": "Basic",
        "state": "up",
        "updated_at": DATE,
        "release": {"version": 5},
        **more,
    }


def formation(kind: str, quantity: int, size: str = "Basic") -> dict[str, Any]:
    return {"id": kind, "type": kind, "quantity": quantity, "size": size}


def test_ps_groups_by_process_type(cli: Cli) -> None:
    found = [dyno("web.10"), dyno("run.4859"), dyno("web.2", state="starting")]
    cli.answer("GET /apps/myapp/dynos?extended=true", found)
    cli.answer("GET /apps/myapp/dynos", found)
    lines = cli.run("ps", "-a", "myapp").out.splitlines()
    assert lines[0] == "=== run: one-off processes (1)"
    assert lines[2].startswith("run.4859 (Basic): up 2026/11/23 12:00:00 +0000")
    assert lines[2].endswith(": start run")
    assert lines[4] == "=== web (Basic): start web (2)"
    assert [line.partition(" 2026")[0] for line in lines[6:8]] == ["web.2: starting", "web.10: up"]
    assert len(json.loads(cli.run("ps", "web", "--json", "-a", "myapp").out)) == 2
    assert cli.run("ps", "clock", "-a", "myapp").err == " ▸    No clock dynos on myapp.\n"


def test_ps_tells_why_a_dyno_crashed(cli: Cli) -> None:
    crash = {
        "at": 1.0,
        "status": 137,
        "signal": "SIGKILL",
        "code": "R15",
        "reason": None,
        "lines": ["loading", "more"],
        "restarts": 3,
        "next_start": "2100-01-01T00:00:00Z",
    }
    down = dyno("web.1", state="crashed", extended={"crash": crash})
    cli.answer("GET /apps/myapp/dynos?extended=true", [down, dyno("web.2", extended={"crash": crash})])
    lines = cli.run("ps", "-a", "myapp").out.splitlines()
    assert lines[2].startswith("web.1: crashed 2026")
    assert lines[3].startswith("  exited with status 137 (SIGKILL, R15); crashed 3 times in a row; next start in ")
    assert lines[4:6] == ["  | loading", "  | more"]
    assert lines[6].startswith("web.2: up")
    assert lines[7:] == [""]


def test_scale_shows_and_sets(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/formation", [formation("worker", 0), formation("web", 1, "Standard-1X")])
    cli.answer(
        "PATCH /apps/myapp/formation",
        [formation("web", 2, "Standard-1X"), formation("worker", 1), formation("clock", 0)],
    )
    assert cli.run("ps:scale", "-a", "myapp").out == "web=1:Standard-1X worker=0:Basic\n"
    result = cli.run("scale", "web=2:standard-1x", "worker+1", "-a", "myapp")
    assert result.err == "Scaling dynos... done, now running web at 2:Standard-1X, worker at 1:Basic\n"
    assert cli.requests[0].body == {
        "updates": [{"type": "web", "quantity": "2", "size": "standard-1x"}, {"type": "worker", "quantity": "+1"}]
    }
    cli.run("scale", "my-type-1", "-a", "myapp")
    assert cli.requests[0].body == {"updates": [{"type": "my-type", "quantity": "-1"}]}
    assert cli.run("scale", "web:2", "-a", "myapp").status == 1
    assert cli.calls == []


def test_scale_of_an_app_that_was_never_deployed(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/formation", [])
    result = cli.run("ps:scale", "-a", "myapp")
    assert result.err == " ▸    No process types on myapp.\n ▸    Upload a Procfile to add process types.\n"


@pytest.mark.parametrize(
    ("words", "call", "text"),
    [
        (["ps:restart"], "DELETE /apps/myapp/dynos", "Restarting all dynos"),
        (["restart", "web.1"], "DELETE /apps/myapp/dynos/web.1", "Restarting dyno web.1"),
        (["ps:restart", "-d", "web.1"], "DELETE /apps/myapp/dynos/web.1", "Restarting dyno web.1"),
        (["ps:restart", "-p", "web"], "DELETE /apps/myapp/formations/web", "Restarting all web dynos"),
        (["ps:stop", "web.1"], "POST /apps/myapp/dynos/web.1/actions/stop", "Stopping web.1 dyno"),
        (["kill", "web"], "POST /apps/myapp/formations/web/actions/stop", "Stopping all web dynos"),
    ],
)
def test_restart_and_stop(cli: Cli, words: list[str], call: str, text: str) -> None:
    cli.answer(call, {}, 202)
    result = cli.run(*words, "-a", "myapp")
    assert cli.calls == [call]
    assert result.err == f"{text} on myapp... done\n"


def test_stop_wants_to_know_what(cli: Cli) -> None:
    assert cli.run("ps:stop", "-a", "myapp").err == " ▸    Please specify a process type or dyno name.\n"
    both = cli.run("ps:stop", "-a", "myapp", "-d", "web.1", "-p", "web")
    assert both.status == 2


def test_type_resizes_one_or_all(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/formation", [formation("worker", 0), formation("web", 2)])
    cli.answer("PATCH /apps/myapp/formation", [formation("web", 2, "Standard-2X")])
    result = cli.run("ps:type", "web=standard-2x", "-a", "myapp")
    assert cli.requests[1].body == {"updates": [{"type": "web", "size": "standard-2x"}]}
    assert " web    Standard-2X 2\n worker Basic       0\n" in result.out
    cli.run("resize", "basic", "-a", "myapp")
    assert [one["type"] for one in cli.requests[1].body["updates"]] == ["worker", "web"]
    assert "Types: web, worker" in cli.run("ps:type", "clock=basic", "-a", "myapp").err


def test_wait_looks_until_all_run_the_latest(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ps.time, "sleep", lambda pause: None)
    cli.answer("GET /apps/myapp/releases", [{"version": 5}])
    cli.answer("GET /apps/myapp/dynos", [dyno("web.1", release={"version": 4}), dyno("run.1", state="starting")])
    cli.answer("GET /apps/myapp/dynos", [dyno("web.1", state="starting")])
    cli.answer("GET /apps/myapp/dynos", [dyno("web.1")])
    result = cli.run("ps:wait", "-a", "myapp")
    assert result.err == "Waiting for every dyno to be running v5... 1 / 1, done\n"
    assert len(cli.requests) == 4


def events(*lines: str) -> bytes:
    return "".join(f"id: {number}\ndata: {line}\n\n" for number, line in enumerate(lines, 1)).encode()


def test_logs_are_read_from_the_session(cli: Cli) -> None:
    url = f"{cli.double.url}/logs/secret?x=1"
    cli.answer("POST /apps/myapp/log-sessions", {"logplex_url": url}, 201)
    cli.answer("GET /logs/secret?x=1", b": hello\n\n" + events("a: b", "", "ü"), Content_Type="text/event-stream")
    result = cli.run("logs", "-n", "5", "-s", "app", "-d", "web.1", "-a", "myapp")
    assert result.out == "a: b\n\nü\n"
    assert cli.requests[0].body == {"lines": 5, "tail": False, "dyno": "web.1", "source": "app"}
    assert "authorization" not in cli.requests[1].headers
    assert cli.requests[1].headers["accept"] == "text/event-stream"
    cli.run("logs", "--ps=web", "-a", "myapp")
    assert cli.requests[0].body["dyno"] == "web"


def test_tail_comes_back_after_a_break(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(logs.time, "sleep", pauses.append)
    url = f"{cli.double.url}/logs/secret"
    cli.answer("POST /apps/myapp/log-sessions", {"logplex_url": url}, 201)
    cli.answer("GET /logs/secret", b"retry: 500\n" + events("one", "two"), Content_Type="text/event-stream")
    cli.answer("GET /logs/secret", b"", 503)
    cli.answer("GET /logs/secret", events("three"), Content_Type="text/event-stream")
    cli.answer("GET /logs/secret", b"", 404)
    result = cli.run("logs", "-t", "-a", "myapp")
    assert result.out == "one\ntwo\nthree\n"
    assert (result.status, result.err) == (1, " ▸    Log stream timed out. Please try again.\n")
    assert [request.headers.get("last-event-id") for request in cli.requests[1:]] == [None, "2", "2", "1"]
    assert pauses == [0.5, 0.5, 0.5]


def test_log_colours() -> None:
    colour = Colour(True)
    head = f"{DATE} app[web.1]:"
    assert colour.line(f"{head} hi") == f"\033[33m{head}\033[0m hi"
    assert colour.line(f"{DATE} heroku[router]: at=error code=H12").endswith("\033[31m at=error code=H12\033[0m")
    assert colour.line("no line of ours") == "no line of ours"
    assert Colour(False).line(f"{head} hi") == f"{head} hi"


def domain(hostname: str, **more: Any) -> dict[str, Any]:
    return {
        "id": hostname,
        "hostname": hostname,
        "kind": "custom",
        "cname": "myapp.localhost",
        "status": "succeeded",
        "sni_endpoint": None,
        **more,
    }


def test_drains(cli: Cli) -> None:
    url = "https://logs.example.com/in?x=1"
    path = "/apps/myapp/log-drains/https:%2F%2Flogs.example.com%2Fin%3Fx%3D1"
    cli.answer("GET /apps/myapp/log-drains", [{"url": url, "token": "d.1"}])
    assert cli.run("drains", "-a", "myapp").out.endswith(f"{url} (d.1)\n")
    cli.answer("POST /apps/myapp/log-drains", {"url": url}, 201)
    assert cli.run("drains:add", url, "-a", "myapp").out == f"Successfully added drain {url}\n"
    cli.answer(f"DELETE {path}", {"url": url})
    assert cli.run("drains:remove", url, "-a", "myapp").out == f"Successfully removed drain {url}\n"


def test_domains(cli: Cli) -> None:
    cli.answer(
        "GET /apps/myapp/domains", [domain("myapp.localhost", kind="heroku", cname=None), domain("www.example.com")]
    )
    result = cli.run("domains", "-a", "myapp")
    assert "=== myapp Platform Domain\n\nmyapp.localhost\n" in result.out
    assert " www.example.com CNAME           myapp.localhost\n" in result.out
    cli.answer("DELETE /apps/myapp/domains/www.example.com", {})
    assert cli.run("domains:clear", "-a", "myapp").status == 0
    assert cli.calls[1:] == ["DELETE /apps/myapp/domains/www.example.com"]
    gone = cli.run("domains:remove", "www.example.com", "-a", "myapp")
    assert gone.err == "Removing www.example.com from myapp... done\n"


def test_domain_add_waits_when_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda pause: None)
    cli.answer("POST /apps/myapp/domains", domain("www.example.com", status="pending"), 201)
    cli.answer("GET /apps/myapp/domains/www.example.com", domain("www.example.com", status="pending"))
    cli.answer("GET /apps/myapp/domains/www.example.com", domain("www.example.com"))
    result = cli.run("domains:add", "www.example.com", "-a", "myapp")
    assert cli.requests[0].body == {"hostname": "www.example.com", "sni_endpoint": None}
    assert "point to the DNS Target myapp.localhost\n" in result.out
    assert "pogo domains:wait 'www.example.com'" in result.out
    waited = cli.run("domains:add", "www.example.com", "--wait", "-a", "myapp")
    assert "Waiting for www.example.com... done\n" in waited.err
    assert len(cli.requests) == 3


def installed(*urls: str) -> list[dict[str, Any]]:
    return [{"ordinal": number, "buildpack": {"url": url, "name": url}} for number, url in enumerate(urls)]


def test_buildpacks_are_listed(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/buildpack-installations", [])
    assert cli.run("buildpacks", "-a", "myapp").out == "myapp has no Buildpacks.\n"


def changed(cli: Cli, before: list[str], *words: str) -> tuple[list[str], str]:
    """The buildpacks that a command sends, and what it prints or says."""
    cli.double.answers.clear()
    cli.answer("GET /apps/myapp/buildpack-installations", installed(*before))
    cli.answer("PUT /apps/myapp/buildpack-installations", installed("heroku/nodejs", "heroku/python"))
    result = cli.run(*words, "-a", "myapp")
    sent = [one["buildpack"] for request in cli.requests if request.body for one in request.body["updates"]]
    return sent, result.out + result.err


def test_buildpacks_change(cli: Cli) -> None:
    node, python, url = "heroku/nodejs", "heroku/python", "https://example.com/pack.git"
    sent, text = changed(cli, [python], "buildpacks:add", node)
    assert sent == [python, node]
    assert text == (
        "Buildpack added. Next release on myapp will use:\n  1. heroku/nodejs\n  2. heroku/python\n"
        "Run git push pogo main to create a new release using these buildpacks.\n"
    )
    assert changed(cli, [python], "buildpacks:add", "-i", "1", node)[0] == [node, python]
    assert changed(cli, [python, url], "buildpacks:set", node)[0] == [node, url]
    assert changed(cli, [python, url], "buildpacks:set", "-i2", node)[0] == [python, node]
    assert changed(cli, [python, url], "buildpacks:remove", url)[0] == [python]
    assert changed(cli, [python, url], "buildpacks:remove", "-i", "1")[0] == [url]
    assert changed(cli, [python], "buildpacks:clear")[0] == []


def test_buildpacks_refuse(cli: Cli) -> None:
    node, registry = "heroku/nodejs", "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/nodejs.tgz"
    assert changed(cli, [registry], "buildpacks:add", node) == (
        [],
        " ▸    The buildpack heroku/nodejs is already set on your app.\n",
    )
    assert "Must be greater than 0" in changed(cli, [node], "buildpacks:add", "-i", "0", "x")[1]
    assert "Only valid value is 1." in changed(cli, [node], "buildpacks:remove", "-i", "2")[1]
    assert "Nothing was removed" in changed(cli, [node], "buildpacks:remove", "x")[1]
    assert "No buildpacks were found" in changed(cli, [], "buildpacks:remove", "x")[1]
    assert "but not both" in changed(cli, [node], "buildpacks:remove", "-i", "1", node)[1]
