"""login, platforms, env, git, app selection, and what is said when something is wrong."""

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import cli_double
import pytest
from cli_double import APP, EMAIL, TOKEN, Cli

from pogo.cli import platforms, repository
from pogo.cli.client import address
from pogo.cli.commands import environment
from pogo.cli.errors import CliError, UsageError
from pogo.cli.platforms import Platform, normal_url

cli = cli_double.cli
FAR = Platform("https://api.example.com", "git.example.com", TOKEN)


def git(*args: str) -> str:
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True).stdout


def test_login_keeps_the_token_and_not_the_password(cli: Cli) -> None:
    platforms.save(platforms.Platforms(None, {}))
    cli.answer("POST /oauth/authorizations", {"id": "1", "access_token": {"token": "new"}, "user": {}}, 201)
    cli.answer("GET /account", {"email": EMAIL})
    result = cli.run("login", "-i", "--host", cli.double.url, stdin=f"{EMAIL}\nsecret\n")
    assert (result.status, result.out) == (0, f"Logged in as {EMAIL}\n")
    request = cli.requests[0]
    assert request.headers["authorization"] == "Basic " + base64.b64encode(f"{EMAIL}:secret".encode()).decode()
    assert request.body["scope"] == ["global"]
    assert request.body["expires_in"] == 2_592_000
    assert cli.requests[1].headers["authorization"] == "Bearer new"
    assert platforms.find().token == "new"
    assert "secret" not in Path(platforms.config_path()).read_text()
    assert stat.S_IMODE(os.stat(platforms.config_path()).st_mode) == 0o600
    assert os.listdir(os.path.dirname(platforms.config_path())) == ["config.json"]


def test_login_in_a_browser(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROWSER", raising=False)
    begun = {"browser_url": "/auth/browser/page", "cli_url": "/auth/token", "token": "waits"}
    cli.answer("POST /auth", begun)
    cli.answer("GET /auth/token", {"access_token": "new"})
    cli.answer("GET /account", {"email": EMAIL})
    result = cli.run("login", "--browser")
    assert (result.status, result.out) == (0, f"Logged in as {EMAIL}\n")
    assert f"{cli.double.url}/auth/browser/page" in result.err
    assert cli.requests[1].headers["authorization"] == "Bearer waits"
    assert cli.requests[2].headers["authorization"] == "Bearer new"
    assert platforms.find().token == "new"


def test_login_refused_in_the_browser(cli: Cli) -> None:
    cli.answer("POST /auth", {"browser_url": "/auth/browser/page", "cli_url": "/auth/token", "token": "waits"})
    cli.answer("GET /auth/token", {"error": "The login was refused in the browser, or took too long."})
    refused = cli.run("login", "--browser")
    assert refused.status == 2 and "refused in the browser" in refused.err
    assert platforms.find().token == TOKEN


def test_login_with_a_wrong_password(cli: Cli) -> None:
    cli.answer("POST /oauth/authorizations", {"id": "unauthorized", "message": "Invalid credentials provided."}, 401)
    result = cli.run("login", stdin="\nwrong\n")
    assert result.status == 2
    assert result.err.endswith(" ▸    Invalid credentials provided.\n")
    assert platforms.find().token == TOKEN


def test_login_with_a_second_factor(cli: Cli) -> None:
    cli.answer("POST /oauth/authorizations", {"id": "two_factor", "message": "A second factor is required."}, 403)
    cli.answer("POST /oauth/authorizations", {"access_token": {"token": "new"}}, 201)
    cli.answer("GET /account", {"email": EMAIL})
    assert cli.run("login", stdin="\nsecret\n123456\n").status == 0
    assert cli.requests[1].headers["heroku-two-factor-code"] == "123456"


def test_logout_revokes_and_forgets(cli: Cli) -> None:
    cli.answer("DELETE /oauth/sessions/~", {"id": "not_found", "resource": "session"}, 404)
    cli.answer(
        "GET /oauth/authorizations",
        [
            {"id": "a", "access_token": {"token": "HRKU**********34"}},
            {"id": "b", "access_token": {"token": "x"}},
            {"id": "c", "access_token": {"token": "*" * 10}},
        ],
    )
    cli.answer("DELETE /oauth/authorizations/a", {})
    result = cli.run("logout")
    assert (result.status, result.err) == (0, "Logging out... done\n")
    assert cli.calls[2:] == ["DELETE /oauth/authorizations/a"]
    assert cli.run("whoami").status == 100
    assert cli.requests == []
    assert cli.run("auth:token").status == 100


def test_whoami_and_token(cli: Cli) -> None:
    cli.answer("GET /account", {"email": EMAIL})
    cli.answer("GET /account", {"id": "unauthorized", "message": "Invalid credentials provided."}, 401)
    assert cli.run("whoami").out == f"{EMAIL}\n"
    expired = cli.run("whoami")
    assert expired.status == 100
    assert "Run pogo login" in expired.err
    assert cli.run("auth:token").out == f"{TOKEN}\n"


def test_an_expired_token_says_how_to_go_on(cli: Cli) -> None:
    cli.answer("GET /users/~/apps", {"id": "unauthorized", "message": "Invalid credentials provided."}, 401)
    result = cli.run("apps")
    assert result.status == 2
    assert result.err == (
        " ▸    Invalid credentials provided.\n ▸\n ▸    Error ID: unauthorized\n ▸    Run pogo login to log in again.\n"
    )


def test_the_environment_overrides_the_file(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    platforms.remember(FAR)
    assert cli.run("auth:token").out == f"{TOKEN}\n"
    cli.answer("GET /account", {"email": "other@example.com"})
    monkeypatch.setenv("POGO_API_URL", cli.double.url)
    monkeypatch.setenv("POGO_API_KEY", "from-environment")
    assert cli.run("whoami").out == "other@example.com\n"
    assert cli.requests[0].headers["authorization"] == "Bearer from-environment"
    assert "unset POGO_API_KEY" in cli.run("login").err


def test_platforms_are_added_used_and_removed(cli: Cli, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("PEM")
    here = cli.double.url
    result = cli.run(
        "platform:add", "https://api.example.com/", "--ca", str(ca), "--token", "-", "--email", EMAIL, stdin="tok\n"
    )
    assert result.status == 0
    assert platforms.find() == Platform("https://api.example.com", "git.example.com", "tok", EMAIL, str(ca))
    cli.run("platform:add", "https://api.example.com", "--git", "code.example.com", "--no-switch")
    assert platforms.find()._replace(ca=None) == Platform("https://api.example.com", "code.example.com", "tok", EMAIL)
    assert f"* https://api.example.com  {EMAIL}\n" in cli.run("platform").out
    assert cli.run("platform:use", here).status == 0
    assert platforms.find().api == here
    cli.run("platform:remove", here)
    assert platforms.find().api == "https://api.example.com"
    assert "is not known" in cli.run("platform:use", here).err
    assert "Cannot read" in cli.run("platform:add", here, "--ca", str(tmp_path / "none.pem")).err


def test_no_platform_and_a_damaged_file(cli: Cli) -> None:
    path = Path(platforms.config_path())
    path.write_text("{")
    assert "is damaged" in cli.run("apps").err
    path.unlink()
    assert "No platform is known yet." in cli.run("apps").err


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://x/path", "https://u@x", "https://x:port"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(CliError, match="is not the address of a platform"):
        normal_url(url)


def test_addresses() -> None:
    assert normal_url("Localhost:8443") == "https://localhost:8443"
    assert normal_url("http://127.0.0.1:5000/") == "http://127.0.0.1:5000"
    assert [address(host) for host in ("localhost", "a.localhost", "example.com")] == [
        "127.0.0.1",
        "127.0.0.1",
        "example.com",
    ]


def test_nobody_answers(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("POGO_API_URL", f"http://api.localhost:{port}")
    monkeypatch.setenv("POGO_API_KEY", "x")
    result = cli.run("apps")
    assert result.status == 1
    assert result.err.startswith(f" ▸    Cannot reach the platform at api.localhost:{port}: Connection refused.\n")


def test_a_platform_that_restarts_is_waited_for(cli: Cli) -> None:
    cli.answer(
        "DELETE /apps/myapp/dynos", {"id": "service_unavailable", "message": "Restarting."}, 503, Retry_After="1"
    )
    cli.answer("DELETE /apps/myapp/dynos", {}, 202)
    assert cli.run("ps:restart", "-a", "myapp").status == 0
    assert [request.method for request in cli.requests] == ["DELETE", "DELETE"]


def test_answers_that_are_not_the_api(cli: Cli) -> None:
    cli.answer("GET /account", b"<html>", Content_Type="text/html")
    cli.answer("GET /account", b"<html>", 503, Content_Type="text/html")
    assert "does not speak the Platform API" in cli.run("whoami").err
    assert "is not ready (HTTP status 503)" in cli.run("whoami").err
    cli.double.answers.clear()
    cli.answer("GET /account", b"{", 200)
    cli.answer("GET /account", b"", 301, Location="https://localhost/account")
    assert "does not speak the Platform API" in cli.run("whoami").err
    assert "has moved to https://localhost/account" in cli.run("whoami").err


def test_warnings_of_the_platform_are_shown_once(cli: Cli) -> None:
    cli.answer("GET /users/~/apps", [APP], X_Heroku_Warning="Disk is nearly full.")
    cli.answer("GET /account", {"email": EMAIL}, X_Heroku_Warning="Disk is nearly full.")
    assert cli.run("apps").err == " ▸    Disk is nearly full.\n"


def exports(text: str) -> dict[str, str]:
    script = f"{text}\nenv -0"
    shown = subprocess.run(
        ["sh", "-c", script], check=True, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    return dict(pair.partition("=")[::2] for pair in shown.stdout.split("\0"))


def test_env_points_the_official_client_here(cli: Cli) -> None:
    platforms.remember(Platform("https://localhost:8443", "localhost:8443", TOKEN, EMAIL, "/a b/ca.pem"))
    found = exports(cli.run("env").out)
    assert (
        found.items()
        >= {
            "HEROKU_HOST": "https://localhost:8443",
            "HEROKU_DATA_HOST": "localhost",
            "HEROKU_GIT_HOST": "localhost:8443",
            "HEROKU_EXEC_URL": "https://localhost:8443/",
            "HEROKU_API_KEY": TOKEN,
            "NODE_EXTRA_CA_CERTS": "/a b/ca.pem",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.https://localhost:8443.sslCAInfo",
            "GIT_CONFIG_VALUE_0": "/a b/ca.pem",
        }.items()
    )
    assert TOKEN not in cli.run("env", "--no-token").out


def test_env_of_a_platform_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment.variables(FAR)
    assert found["HEROKU_HOST"] == "https://localhost@api.example.com"
    assert json.loads(found["HEROKU_HEADERS"]) == {"authorization": f"Bearer {TOKEN}"}
    assert "NODE_EXTRA_CA_CERTS" not in found
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    found = environment.variables(FAR._replace(ca="/ca.pem"))
    assert (found["GIT_CONFIG_COUNT"], found["GIT_CONFIG_VALUE_1"]) == ("2", "/ca.pem")


def test_git_remote_sets_what_git_needs_and_nothing_global(cli: Cli) -> None:
    git("init", "-q")
    platforms.remember(platforms.find()._replace(ca="/ca.pem"))
    cli.answer("GET /apps/myapp", APP)
    for _ in range(2):
        result = cli.run("git:remote", "-a", "myapp")
        assert result.out == "set git remote pogo to https://localhost/myapp.git\n"
    assert git("remote", "get-url", "pogo") == "https://localhost/myapp.git\n"
    assert git("config", "--local", "http.https://localhost.sslCAInfo") == "/ca.pem\n"
    helpers = git("config", "--local", "--get-all", "credential.https://localhost.helper").splitlines()
    assert helpers[0] == ""
    assert helpers[1].endswith("pogo git:credentials")
    assert len(helpers) == 2
    assert not Path(os.environ["HOME"], ".gitconfig").exists()
    cli.run("git:remote", "-r", "staging", "myapp")
    assert git("remote", "get-url", "staging") == "https://localhost/myapp.git\n"


def test_git_itself_gets_the_token_from_the_helper(cli: Cli) -> None:
    git("init", "-q")
    repository.add_remote(platforms.find(), "pogo", "myapp")
    asked = "protocol=https\nhost=localhost\npath=myapp.git\n\n"
    shown = subprocess.run(
        ["git", "credential", "fill"], input=asked, check=True, capture_output=True, text=True, timeout=20
    ).stdout
    assert f"username=pogo\npassword={TOKEN}\n" in shown


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("protocol=https\nhost=localhost\n", True),
        ("protocol=https\nhost=localhost:443\n", True),
        ("protocol=http\nhost=localhost:8080\n", True),
        ("protocol=https\nhost=localhost:8443\n", False),
        ("protocol=https\nhost=github.com\n", False),
        ("protocol=http\nhost=git.example.com\n", False),
        ("protocol=https\nhost=git.example.com\n", True),
        ("", False),
    ],
)
def test_credentials_only_for_git_hosts_we_know(cli: Cli, asked: str, answered: bool) -> None:
    platforms.remember(FAR, switch=False)
    result = cli.run("git:credentials", "get", stdin=asked)
    assert result.status == 0
    assert result.out == (f"username=pogo\npassword={TOKEN}\n" if answered else "")
    assert cli.run("git:credentials", "erase", stdin=asked).out == ""


def remotes(**urls: str) -> None:
    git("init", "-q")
    for name, url in urls.items():
        git("remote", "add", name, url)


def test_the_app_comes_from_the_only_remote(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    here = platforms.find()
    remotes(origin="https://github.com/me/app.git", live="https://localhost/live.git", other="http://localhost:81/x/y")
    assert repository.choose_app(here, None, None) == "live"
    monkeypatch.setenv("HEROKU_APP", "from-environment")
    assert repository.choose_app(here, None, None) == "from-environment"
    assert repository.choose_app(here, None, "live") == "live"
    assert repository.choose_app(here, "flag", "live") == "flag"
    with pytest.raises(UsageError, match="remote origin not found"):
        repository.choose_app(here, None, "origin")


def test_of_several_remotes_pogo_wins(cli: Cli) -> None:
    here = platforms.find()
    remotes(a="https://localhost/a.git", b="http://localhost:8080/b.git")
    with pytest.raises(CliError, match=r"Multiple apps in git remotes(?s:.*)a \(a\)\nb \(b\)"):
        repository.choose_app(here, None, None)
    git("remote", "add", "heroku", "https://localhost/c.git")
    assert repository.choose_app(here, None, None) == "c"
    git("remote", "add", "pogo", "https://localhost/d.git")
    assert repository.choose_app(here, None, None) == "d"
    git("config", "heroku.remote", "a")
    assert repository.choose_app(here, None, None) == "a"


def test_no_app_at_all(cli: Cli) -> None:
    result = cli.run("config")
    assert result.status == 2
    assert result.err.startswith(" ▸    Missing required flag app\n")


def test_an_app_that_is_not_there(cli: Cli) -> None:
    result = cli.run("config", "-a", "nope")
    assert result.status == 2
    assert result.err == " ▸    Couldn't find that app.\n ▸\n ▸    Error ID: not_found\n"
