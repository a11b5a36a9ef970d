"""regions, usage:addons, apps:diff, releases:retry, orgs, rake, console; commands, which: asked for, and shown."""

from __future__ import annotations

import json
from typing import Any

import cli_double
import pytest
from cli_double import APP, Cli

from pogo.cli.commands import run

cli = cli_double.cli
REGION = {"id": "1", "name": "local", "description": "This installation", "private_capable": False}


def test_regions(cli: Cli) -> None:
    cli.answer("GET /regions", [{**REGION, "name": "moon", "private_capable": True}, REGION])
    shown = [row.split() for row in cli.run("regions").out.splitlines()]
    assert shown[2:4] == [["local", "This", "installation", "Common", "Runtime"], shown[3]]
    assert shown[3][0] == "moon"
    assert [one["name"] for one in json.loads(cli.run("regions", "--common", "--json").out)] == ["local"]
    assert [one["name"] for one in json.loads(cli.run("regions", "--private", "--json").out)] == ["moon"]


def test_usage_of_addons(cli: Cli) -> None:
    cli.answer("GET /apps/myapp/usage", {"addons": []})
    assert cli.run("usage:addons", "-a", "myapp").out == "No usage found for app myapp\n"
    cli.answer("GET /teams/us/apps", [{**APP, "name": "other"}])
    cli.answer("GET /apps/other/usage", {"addons": [{"id": "big", "meters": {"storage": {"quantity": 3}}}]})
    assert ["big", "storage", "3"] in [row.split() for row in cli.run("usage:addons", "-t", "us").out.splitlines()]
    assert "--app" in cli.run("usage:addons").err


def app_of(cli: Cli, name: str, stack: str, config: dict[str, str], slug: str | None, buildpacks: list[str]) -> None:
    path = f"/apps/{name}"
    cli.answer(f"GET {path}", {**APP, "name": name, "stack": {"name": stack}})
    cli.answer(f"GET {path}/releases", [{"version": 3, "slug": {"id": slug} if slug else None}])
    cli.answer(f"GET {path}/slugs/{slug}", {"checksum": f"SHA256:{slug}"})
    cli.answer(f"GET {path}/config-vars", config)
    cli.answer(f"GET {path}/buildpack-installations", [{"buildpack": {"url": url}} for url in buildpacks])
    cli.answer(f"GET {path}/addons", [])
    cli.answer(f"GET {path}/features", [{"name": "preboot", "enabled": stack == "new"}])


def test_two_apps_differ(cli: Cli) -> None:
    app_of(cli, "one", "old", {"A": "1", "SAME": "x", "LONG": "y" * 60}, "abc", ["p", "q"])
    app_of(cli, "two", "new", {"SAME": "x"}, None, ["p"])
    rows = [row.strip() for row in cli.run("apps:diff", "one", "two").out.splitlines()]
    found = {row.partition("  ")[0]: row.split()[-2:] for row in rows[2:] if row}
    assert list(found) == ["slug", "stack", "config (A)", "config (LONG)", "buildpack (1)", "feature (preboot)"]
    assert found["stack"] == ["old", "new"]
    assert found["config (LONG)"][1] == "y" * 39 + "…"
    assert cli.run("apps:diff", "one", "one").out == "one and one do not differ.\n"


def test_a_release_command_is_run_again(cli: Cli) -> None:
    latest = {"version": 3, "description": "Deploy abc", "slug": {"id": "s1"}}
    cli.answer("GET /apps/myapp/releases", [latest])
    cli.answer("GET /apps/myapp/formation", [{"type": "web"}])
    cli.answer("GET /apps/myapp/formation", [{"type": "web"}, {"type": "release"}])
    refused = cli.run("releases:retry", "-a", "myapp")
    assert (refused.status, "must have a release-phase command" in refused.err) == (1, True)
    cli.answer("POST /apps/myapp/releases", {"version": 4, "output_stream_url": None}, 201)
    assert cli.run("releases:retry", "-a", "myapp").err == "Retrying v3 on myapp... done, v4\n"
    assert cli.requests[-1].body == {"description": "Retry of v3: Deploy abc", "slug": "s1"}


def test_teams_by_their_old_name(cli: Cli) -> None:
    cli.answer("GET /teams", [{"name": "us", "role": "admin", "type": "team"}])
    assert ["us", "admin"] in [row.split() for row in cli.run("orgs").out.splitlines()]
    assert cli.run("orgs", "--enterprise").out == "You are in no teams.\n"


@pytest.mark.parametrize(
    ("words", "command"), [(("rake", "db:migrate", "-x"), "rake db:migrate"), (("console",), "console")]
)
def test_shorthands_of_run(cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], command: str) -> None:
    sent: list[dict[str, Any]] = []

    def stop(context: object, body: dict[str, Any]) -> None:
        sent.append(body)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_create", stop)
    assert cli.run(*words, "-a", "myapp").status == 130
    assert (sent[0]["command"], sent[0]["attach"]) == (command, True)


def test_commands_of_pogo(cli: Cli) -> None:
    assert "apps:create" in cli.run("commands").out
    found = {one["id"]: one for one in json.loads(cli.run("commands", "--json").out)}
    assert found["apps:create"]["aliases"] == ["create"]
    assert "rake" not in found
    assert "rake" in {one["id"] for one in json.loads(cli.run("commands", "--json", "--hidden").out)}
    assert json.loads(cli.run("which", "rollback", "--json").out) == {
        "command": "releases:rollback",
        "kind": "as in the official client",
        "run": "pogo.cli.commands.releases:rollback",
    }
    assert "of pogo alone" in cli.run("which", "heroku").out
    assert cli.run("which", "nothing").status == 127
