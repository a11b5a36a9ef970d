"""apps:*, config:*, releases:*, maintenance, access, stacks: what is asked of the API and what is printed."""

from __future__ import annotations

import json
import subprocess
import time

import cli_double
import pytest
from cli_double import APP, DATE, EMAIL, TOKEN, Cli

cli = cli_double.cli


def release(version: int, **more: object) -> dict[str, object]:
    return {
        "id": f"id-{version}",
        "version": version,
        "description": f"Deploy {version}",
        "user": {"email": EMAIL},
        "created_at": DATE,
        "status": "succeeded",
        "current": False,
        "eligible_for_rollback": True,
        "addon_plan_names": [],
        **more,
    }


def test_apps_are_listed_by_owner(cli: Cli) -> None:
    other = {**APP, "name": "theirs", "owner": {"email": "you@example.com"}}
    euro = {**APP, "name": "euro", "region": {"name": "eu"}}
    cli.answer("GET /users/~/apps", [APP, other, euro])
    cli.answer("GET /account", {"email": EMAIL})
    result = cli.run("apps")
    assert result.out == (
        f"=== {EMAIL} Apps\n\neuro (eu)\nmyapp\n\n=== Collaborated Apps\n\ntheirs  you@example.com\n\n"
    )
    request = cli.requests[0]
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept"] == "application/vnd.heroku+json; version=3"
    assert json.loads(cli.run("apps", "-j").out) == [euro, APP, other]


def test_a_long_list_is_read_page_by_page(cli: Cli) -> None:
    cli.answer("GET /users/~/apps", [{**APP, "name": "a"}], 206, Next_Range="id ]1..; max=200")
    cli.answer("GET /users/~/apps", [{**APP, "name": "b"}])
    cli.answer("GET /account", {"email": EMAIL})
    assert "a\nb\n" in cli.run("apps").out
    assert [request.headers.get("range") for request in cli.requests[:2]] == [None, "id ]1..; max=200"]


def test_create_asks_sets_and_adds_the_remote(cli: Cli) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    cli.answer("POST /apps", APP, 201)
    cli.answer("PUT /apps/myapp/buildpack-installations", [])
    result = cli.run("create", "-s", "pogo-13", "-b", "heroku/python")
    assert result.status == 0
    assert result.err == ("Creating app... done, myapp, stack is pogo-13\nSetting buildpack to heroku/python... done\n")
    assert result.out == "https://myapp.localhost/ | https://localhost/myapp.git\n"
    assert [request.body for request in cli.requests] == [
        {"stack": "pogo-13"},
        {"updates": [{"buildpack": "heroku/python"}]},
    ]
    remote = subprocess.run(["git", "remote", "-v"], check=True, capture_output=True, text=True).stdout
    assert remote.startswith("pogo\thttps://localhost/myapp.git (fetch)")
    cli.answer("GET /apps/myapp", {**APP, "maintenance": True})
    assert cli.run("maintenance").out == "on\n"


def test_create_with_a_name_that_is_taken(cli: Cli) -> None:
    cli.answer("POST /apps", {"id": "invalid_params", "message": "Name myapp is already taken"}, 422)
    result = cli.run("apps:create", "myapp")
    assert result.status == 2
    assert result.err == (
        "Creating myapp... !\n ▸    Name myapp is already taken\n ▸\n ▸    Error ID: invalid_params\n"
    )
    assert cli.requests[0].body == {"name": "myapp"}


def test_info_in_three_forms(cli: Cli) -> None:
    cli.answer("GET /apps/myapp", APP)
    cli.answer("GET /apps/myapp/dynos", [{"type": "web"}, {"type": "web"}, {"type": "worker"}])
    cli.answer("GET /apps/myapp/collaborators", [{"user": {"email": EMAIL}}, {"user": {"email": "you@example.com"}}])
    assert cli.run("info", "-a", "myapp").out == (
        "=== myapp\n\n"
        "Auto Cert Mgmt: false\n"
        "Collaborators:  you@example.com\n"
        "Dynos:          web: 2, worker: 1\n"
        "Git URL:        https://localhost/myapp.git\n"
        f"Owner:          {EMAIL}\n"
        "Region:         us\n"
        "Repo Size:      0 B\n"
        "Slug Size:      2 KB\n"
        "Stack:          pogo-13\n"
        "Web URL:        https://myapp.localhost/\n"
    )
    shell = cli.run("apps:info", "myapp", "-s").out
    assert "web_url=https://myapp.localhost/\n" in shell
    assert "dynos='{ web: 2, worker: 1 }'\n" in shell
    assert json.loads(cli.run("apps:info", "--json", "--app=myapp").out)["app"] == APP


def test_destroy_asks_for_the_name(cli: Cli) -> None:
    cli.answer("GET /apps/myapp", APP)
    cli.answer("DELETE /apps/myapp", APP)
    wrong = cli.run("destroy", "-a", "myapp", stdin="yourapp\n")
    assert wrong.status == 1
    assert wrong.err.endswith(" ▸    Confirmation yourapp did not match myapp. Aborted.\n")
    assert cli.calls == ["GET /apps/myapp"]
    assert cli.run("apps:destroy", "-a", "myapp", stdin="myapp\n").status == 0
    done = cli.run("apps:destroy", "-a", "myapp", "--confirm", "myapp")
    assert done.err == "Destroying myapp (including all add-ons)... done\n"


def test_rename_follows_with_the_remote(cli: Cli) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "remote", "add", "heroku", "https://localhost/myapp.git"], check=True)
    cli.answer("PATCH /apps/myapp", {**APP, "name": "other", "web_url": "https://other.localhost/"})
    result = cli.run("rename", "other")
    assert result.out == "https://other.localhost/ | https://localhost/other.git\nGit remote heroku updated\n"
    url = subprocess.run(["git", "remote", "get-url", "heroku"], check=True, capture_output=True, text=True).stdout
    assert url == "https://localhost/other.git\n"


def test_config_is_shown_in_three_forms(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/config-vars", {"LONGER": "it's", "A": "1"})
    assert cli.run("config", "-a", "myapp").out == "=== myapp Config Vars\n\nA:      1\nLONGER: it's\n\n"
    assert cli.run("config", "-a", "myapp", "-s").out == "A=1\nLONGER='it'\"'\"'s'\n"
    assert cli.run("config", "-a", "myapp", "-j").out == '{\n  "A": "1",\n  "LONGER": "it\'s"\n}\n'
    assert cli.run("config:get", "A", "NONE", "-a", "myapp").out == "1\n\n"
    assert cli.run("config:get", "A", "-s", "-a", "myapp").out == "A=1\n"


def test_config_set_and_unset_name_the_release(cli: Cli) -> None:
    cli.answer("PATCH /apps/myapp/config-vars", {"A": "1", "B": "x=y", "OLD": "z"})
    cli.answer("GET /apps/myapp/releases", [release(5)], 206, Next_Range="version 4..")
    result = cli.run("config:set", "A=1", "B=x=y", "-a", "myapp")
    assert result.err == "Setting A, B and restarting myapp... done, v5\n"
    assert result.out == "A: 1\nB: x=y\n"
    assert cli.requests[0].body == {"A": "1", "B": "x=y"}
    assert cli.requests[1].headers["range"] == "version ..; order=desc,max=1"
    assert cli.run("config:unset", "A", "-a", "myapp").err == "Unsetting A and restarting myapp... done, v5\n"
    assert cli.requests[0].body == {"A": None}
    refused = cli.run("config:set", "A", "-a", "myapp")
    assert (refused.status, refused.err) == (1, " ▸    A is invalid. Must be in the format FOO=bar.\n")
    assert cli.calls == []


def test_config_edit_sends_what_changed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i -e s/one/two/ -e /OLD/d")
    cli.answer("GET /apps/myapp/config-vars", {"A": "one", "OLD": "x", "KEEP": "a\nb"})
    cli.answer("PATCH /apps/myapp/config-vars", {})
    cli.answer("GET /apps/myapp/releases", [release(6)])
    assert cli.run("config:edit", "-a", "myapp").status == 0
    assert cli.requests[2].body == {"OLD": None, "A": "two"}
    monkeypatch.setenv("EDITOR", "true")
    assert cli.run("config:edit", "A", "-a", "myapp").err == " ▸    no changes to config\n"


def test_releases(cli: Cli) -> None:
    cli.answer(
        "GET /apps/myapp/releases",
        [release(12, status="failed"), release(11, current=True), release(10, status="pending")],
        206,
        Next_Range="version 9..",
    )
    result = cli.run("releases", "-a", "myapp", "-n", "3")
    lines = result.out.splitlines()
    assert lines[0] == "=== myapp Releases - Current: v11"
    assert lines[2].startswith("v12  Deploy 12 release command failed     me@example.com  2026/11/23 12:00:00 +0000")
    assert lines[3].startswith("v11  Deploy 11                            me@example.com")
    assert len(cli.requests) == 1
    assert cli.requests[0].headers["range"] == "version ..; max=3, order=desc"


def test_release_info_and_output(cli: Cli) -> None:
    url = f"{cli.double.url}/streams/secret"
    cli.answer("GET /apps/myapp/releases/12", release(12, output_stream_url=url))
    cli.answer("GET /apps/myapp/releases/12/config-vars", {"A": "1"})
    assert cli.run("releases:info", "v12", "-a", "myapp").out == (
        "=== Release v12\n\n"
        f"By:                     {EMAIL}\n"
        "Change:                 Deploy 12\n"
        "Eligible for Rollback?: Yes\n"
        "Status:                 succeeded\n"
        f"When:                   {DATE}\n\n"
        "=== v12 Config vars\n\nA: 1\n"
    )
    assert "not started yet" in cli.run("releases:output", "12", "-a", "myapp").err
    cli.answer("GET /streams/secret", b"migrating\n", Content_Type="text/plain")
    assert cli.run("releases:output", "12", "-a", "myapp").out == "migrating\n"
    assert "authorization" not in cli.requests[-1].headers


def test_rollback_goes_before_what_serves_now(cli: Cli) -> None:
    cli.answer(
        "GET /apps/myapp/releases",
        [
            release(5, status="failed", eligible_for_rollback=False),
            release(4, current=True),
            release(3, eligible_for_rollback=False),
            release(2),
        ],
    )
    cli.answer("POST /apps/myapp/releases", release(6), 201)
    result = cli.run("rollback", "-a", "myapp")
    assert cli.requests[-1].body == {"release": "id-2"}
    assert result.err.startswith("Rolling back myapp to v2... done, v6\n")
    assert "To undo, run: pogo rollback v5" in result.err
    cli.answer("GET /apps/myapp/releases/4", release(4))
    cli.run("rollback", "v4", "-a", "myapp")
    assert cli.requests[-1].body == {"release": "id-4"}


def test_rollback_waits_for_the_release_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda pause: None)
    cli.answer("GET /apps/myapp/releases/4", release(4))
    url = f"{cli.double.url}/streams/secret"
    cli.answer("POST /apps/myapp/releases", release(6, output_stream_url=url, status="pending"), 201)
    cli.answer("GET /streams/secret", {"id": "not_found"}, 404)
    cli.answer("GET /streams/secret", b"migrating\n", Content_Type="text/plain")
    result = cli.run("rollback", "v4", "-a", "myapp")
    assert (result.status, result.out) == (0, "Running release command...\nmigrating\n")


def test_access_and_stacks(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/collaborators", [{"user": {"email": EMAIL}, "role": "owner"}])
    cli.answer("POST /apps/myapp/collaborators", {}, 201)
    cli.answer("DELETE /apps/myapp/collaborators/you@example.com", {})
    assert f" {EMAIL} owner\n" in cli.run("access", "-a", "myapp").out
    cli.run("access:add", "you@example.com", "-a", "myapp")
    assert cli.requests[0].body == {"user": "you@example.com"}
    assert cli.run("access:remove", "you@example.com", "-a", "myapp").status == 0
    cli.answer("GET /apps/myapp", {**APP, "build_stack": {"name": "pogo-12"}})
    cli.answer("GET /stacks", [{"name": "pogo-13"}, {"name": "pogo-12"}])
    shown = cli.run("stack", "-a", "myapp").out
    assert shown == "=== myapp Available Stacks\n\n  pogo-12 (active on next deploy)\n* pogo-13\n"
    cli.answer("PATCH /apps/myapp", {**APP, "build_stack": {"name": "pogo-12"}})
    result = cli.run("stack:set", "pogo-12", "-a", "myapp")
    assert cli.requests[0].body == {"build_stack": "pogo-12"}
    assert "git push pogo main" in result.out
