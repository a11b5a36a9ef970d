"""One app through all that its owner does to it: config, releases, domains, formation, maintenance, the end."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from installation import Installation
from load import Load
from small_apps import change, make, small
from waiting import eventually


@pytest.fixture(scope="module")
def app(platform: Installation) -> Path:
    """The app `small`, pushed."""
    work = make(platform, "small", small())
    platform.push(work)
    return work


def states(platform: Installation, work: Path) -> dict[str, str]:
    """`pogo ps`: dyno → state."""
    return dict(re.findall(r"^(\w+\.\d+): (\w+)", platform.pogo("ps", cwd=work), re.M))


def version(platform: Installation, app: str = "small") -> str:
    return platform.get(app).body.partition(" ")[0]


def test_config_vars_make_a_release_and_reach_the_app(platform: Installation, app: Path) -> None:
    difficult = "first line\nsecond 'single' \"double\" $HOME `date` \\n ü =x"
    said = platform.pogo("config:set", f"DIFFICULT={difficult}", "EMPTY=", cwd=app)
    assert said.startswith("Setting DIFFICULT, EMPTY and restarting small... done, v3")
    assert platform.pogo("config:get", "DIFFICULT", cwd=app) == difficult + "\n"
    eventually(lambda: platform.get("small", "/env/DIFFICULT").body == difficult)
    assert platform.get("small", "/env/EMPTY").body == ""
    shell = platform.pogo("config", "--shell", cwd=app)
    assert platform.run("bash", "-c", f'{shell}\nprintf %s "$DIFFICULT"') == difficult
    platform.pogo("config:unset", "DIFFICULT", cwd=app)
    eventually(lambda: platform.get("small", "/env/DIFFICULT").body == "(none)")
    assert platform.pogo_json("config", "--app", "small") == {"EMPTY": ""}
    # Nothing changes, so nothing is released.
    platform.pogo("config:set", "EMPTY=", cwd=app)
    assert "Current: v4" in platform.pogo("releases", cwd=app)


def test_a_second_push_and_the_way_back(platform: Installation, app: Path) -> None:
    assert version(platform) == "one"
    pushed = change(platform, app, small("two"))
    number = int(re.search(r"Released v(\d+)", pushed)[1])  # type: ignore[index]
    eventually(lambda: version(platform) == "two")
    table = platform.pogo("releases", cwd=app)
    assert f"Current: v{number}" in table.splitlines()[0]
    commit = platform.run("git", "rev-parse", "HEAD", cwd=app)[:8]
    assert re.search(rf"^v{number} +Deploy {commit} +admin@localhost ", table, re.M)
    assert re.search(r"^v1 +Initial release ", table, re.M)
    info = platform.pogo("releases:info", "v3", cwd=app)
    assert "Change:                 Set DIFFICULT, EMPTY config vars" in info
    said = platform.pogo("rollback", "v2", cwd=app)
    assert said.startswith(f"Rolling back small to v2... done, v{number + 1}")
    eventually(lambda: version(platform) == "one")
    assert platform.get("small", "/env/EMPTY").body == "(none)"
    assert "Rollback to v2" in platform.pogo("releases", cwd=app)


def test_a_promotion_runs_the_same_slug_elsewhere(platform: Installation, app: Path) -> None:
    platform.pogo("create", "small-live", "--no-remote", cwd=app)
    platform.pogo("config:set", "GREETING=live", "-a", "small-live")
    platform.pogo("pipelines:create", "line", "-a", "small", "-s", "staging")
    platform.pogo("pipelines:add", "line", "-a", "small-live", "-s", "production")
    assert "small-live: succeeded" in platform.pogo("pipelines:promote", "-a", "small")
    eventually(lambda: platform.get("small-live").body == f"{version(platform)} web.1")
    assert platform.get("small-live", "/env/GREETING").body == "live"
    slugs = {
        next(one["slug"]["id"] for one in platform.pogo_json("releases", "-a", name) if one["current"])
        for name in ("small", "small-live")
    }
    assert len(slugs) == 1
    assert platform.pogo_json("builds", "-a", "small-live") == []
    platform.pogo("destroy", "-a", "small-live", "--confirm", "small-live")


def test_maintenance(platform: Installation, app: Path) -> None:
    assert platform.pogo("maintenance:on", cwd=app) == "Enabling maintenance mode for small... done\n"
    eventually(lambda: platform.get("small").status == 503)
    assert "Offline for maintenance" in platform.get("small").body
    assert platform.pogo("maintenance", cwd=app) == "on\n"
    platform.pogo("maintenance:off", cwd=app)
    eventually(lambda: platform.get("small").status == 200)
    assert "code=H80" in platform.pogo("logs", "-d", "router", cwd=app)


def test_custom_domains(platform: Installation, app: Path) -> None:
    assert platform.get("www.example.com").status == 404
    said = platform.pogo("domains:add", "www.Example.com", cwd=app)
    assert "DNS Target small.localhost" in said
    eventually(lambda: platform.get("www.example.com").status == 200)
    assert platform.get("WWW.EXAMPLE.COM").status == 200
    assert "www.example.com" in platform.pogo("domains", cwd=app)
    platform.pogo("domains:remove", "www.example.com", cwd=app)
    eventually(lambda: platform.get("www.example.com").status == 404)
    for wrong in ("example", "a_b.", "x.localhost", "www.example.com/path"):
        refused = platform.call("pogo", "domains:add", wrong, cwd=app)
        assert refused.returncode == 2, wrong
        assert " ▸    Domain " in refused.stdout


def test_a_wildcard_domain_gives_way_to_an_exact_one(platform: Installation, app: Path) -> None:
    other = make(platform, "other", small("other"))
    platform.push(other)
    platform.pogo("domains:add", "*.example.org", cwd=app)
    eventually(lambda: platform.get("any.example.org").status == 200)
    platform.pogo("domains:add", "shop.example.org", cwd=other)
    eventually(lambda: version(platform, "shop.example.org") == "other")
    assert version(platform, "any.example.org") == "one"
    taken = platform.call("pogo", "domains:add", "*.example.org", cwd=other)
    assert taken.returncode == 2 and "already" in taken.stdout
    platform.pogo("domains:clear", cwd=app)
    platform.pogo("destroy", "--confirm", "other", cwd=other)


def test_scaled_stopped_restarted_resized(platform: Installation, app: Path) -> None:
    said = platform.pogo("ps:scale", "web=2:standard-1x", cwd=app)
    assert said == "Scaling dynos... done, now running web at 2:Standard-1X\n"
    eventually(lambda: states(platform, app) == {"web.1": "up", "web.2": "up"})
    assert platform.pogo("ps:scale", cwd=app) == "web=2:Standard-1X\n"
    assert "Scaled to web@2:Standard-1X by user admin@localhost" in platform.pogo("logs", "-s", "app", cwd=app)

    assert platform.pogo("ps:stop", "web.2", cwd=app) == "Stopping web.2 dyno on small... done\n"
    eventually(lambda: states(platform, app) == {"web.1": "up", "web.2": "down"})
    assert {platform.get("small").body for _ in range(5)} == {"one web.1"}
    assert platform.pogo("ps:restart", "web.2", cwd=app) == "Restarting dyno web.2 on small... done\n"
    eventually(lambda: {platform.get("small").body for _ in range(5)} == {"one web.1", "one web.2"})

    table = platform.pogo("ps:type", "basic", cwd=app)
    assert re.search(r"^ web +Basic +2$", table, re.M)
    platform.pogo("ps:scale", "web-1", cwd=app)
    eventually(lambda: states(platform, app) == {"web.1": "up"})


def test_restarts_lose_no_request(platform: Installation, app: Path) -> None:
    platform.pogo("ps:scale", "web=2", cwd=app)
    eventually(lambda: states(platform, app) == {"web.1": "up", "web.2": "up"})
    with Load(platform, "small") as load:
        for command in (("ps:restart", "web.1"), ("ps:restart",), ("ps:restart", "web")):
            before = since(platform, app)
            platform.pogo(*command, cwd=app)
            restarted = {"web.1"} if "web.1" in command else {"web.1", "web.2"}
            eventually(lambda r=restarted, b=before: r <= {d for d, at in since(platform, app).items() if at != b[d]})
            eventually(lambda: set(states(platform, app).values()) == {"up"})
    assert load.failures == []
    assert load.requests > 100


def since(platform: Installation, work: Path) -> dict[str, str]:
    """Dyno → its id, which is another one after a restart."""
    dynos = platform.pogo_json("ps", "--app", work.name)
    assert isinstance(dynos, list)
    return {dyno["name"]: dyno["id"] for dyno in dynos}


def test_without_dynos_the_visitor_gets_a_503_and_the_log_h14(platform: Installation, app: Path) -> None:
    platform.pogo("ps:scale", "web=0", cwd=app)
    eventually(lambda: platform.get("small").status == 503)
    eventually(lambda: "No dynos on small" in platform.pogo("ps", cwd=app))
    eventually(lambda: "at=error code=H14 desc=" in platform.pogo("logs", "-s", "heroku", "-d", "router", cwd=app))
    platform.pogo("ps:scale", "web=1", cwd=app)
    eventually(lambda: platform.get("small").status == 200)


def test_an_unknown_host_and_an_app_without_code(platform: Installation, app: Path) -> None:
    assert platform.get("nobody").status == 404
    assert "No such app" in platform.get("nobody").body
    platform.pogo("create", "unpushed", "--no-remote")
    eventually(lambda: platform.get("unpushed").status != 404)
    assert platform.get("unpushed").status == 503
    platform.pogo("destroy", "unpushed", "--confirm", "unpushed")


def test_buildpacks(platform: Installation, app: Path) -> None:
    said = platform.pogo("buildpacks:set", "heroku/python", cwd=app)
    assert "Buildpack set. Next release on small will use heroku/python." in said
    assert "Python app detected" in change(platform, app, {"requirements.txt": ""})
    platform.pogo("buildpacks:clear", cwd=app)
    assert "small has no Buildpacks." in platform.pogo("buildpacks", cwd=app)


def test_rename_moves_the_host_and_the_remote(platform: Installation, app: Path) -> None:
    said = platform.pogo("rename", "smaller", cwd=app)
    assert f"http://smaller.localhost:{platform.http_port}/ | " in said
    assert "Git remote pogo updated" in said
    eventually(lambda: platform.get("smaller").status == 200)
    assert platform.get("small").status == 404
    assert "Everything up-to-date" in platform.push(app)
    assert "smaller" in platform.pogo("apps")
    platform.pogo("rename", "small", cwd=app)
    eventually(lambda: platform.get("small").status == 200)


def kept(platform: Installation) -> set[str]:
    """What the platform keeps of all apps, by path."""
    places = ("git", "logs", "transcripts", "scratch", "run/c", "store", "tmp")
    return {
        os.path.relpath(os.path.join(directory, name), platform.state)
        for place in places
        for directory, directories, files in os.walk(platform.state / place)
        for name in [*directories, *files]
        if place not in ("git", "logs", "scratch") or directory == str(platform.state / place)
    }


def test_destroy_leaves_nothing(platform: Installation) -> None:
    before = kept(platform)
    work = make(platform, "brief", small("brief"))
    platform.push(work)
    platform.pogo("run:detached", "sleep 100", cwd=work)
    assert len(kept(platform) - before) > 5
    wrong = platform.call("pogo", "destroy", "--confirm", "other", cwd=work)
    assert wrong.returncode == 1
    assert "Confirmation other did not match brief. Aborted." in wrong.stdout
    platform.pogo("destroy", "--confirm", "brief", cwd=work)
    assert platform.get("brief").status == 404 or eventually(lambda: platform.get("brief").status == 404) < 2
    assert "brief" not in platform.pogo("apps")
    assert platform.run("git", "remote", cwd=work) == ""
    eventually(lambda: kept(platform) - before == set())
    # The name is free again at once, and nothing of the old app comes back with it.
    platform.pogo("create", "brief", cwd=work)
    assert "No dynos" in platform.pogo("ps", cwd=work)
    platform.pogo("destroy", "--confirm", "brief", cwd=work)
