"""Accounts by the official CLI and by pogo: invitations, logins with two factors and in a browser, keys, tokens,
access and transfers."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pyotp
import pytest
from installation import Installation
from terminal import Terminal
from test_heroku_cli import Heroku, program
from waiting import eventually

__all__ = ["program"]  # a fixture
PASSWORD = "battery staple"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ pat@laptop\n"
UUID = r"[0-9a-f-]{36}"


class Person:
    """Somebody besides the operator, with a home of his own. heroku: without a token in the environment."""

    def __init__(self, platform: Installation, operator: Heroku, home: Path, email: str) -> None:
        self.platform, self.home, self.email = platform, home, email
        home.mkdir()
        (home / "id.pub").write_text(KEY)
        official = {key: value for key, value in operator.environment.items() if key != "HEROKU_API_KEY"}
        self.environment = {**official, "HOME": str(home), "POGO_CA_FILE": operator.environment["NODE_EXTRA_CA_CERTS"]}
        self.environment["POGO_API_URL"] = f"https://localhost:{platform.https_port}"

    def run(self, *command: str, input: str | None = None, check: bool = True) -> str:
        return self.platform.run(*command, cwd=self.home, env=self.environment, input=input, check=check)

    def terminal(self, *command: str) -> Terminal:
        return Terminal(self.platform, self.home, *command, env=self.environment)


@pytest.fixture(scope="module")
def operator(platform: Installation, program: Path) -> Heroku:
    return Heroku(platform, program, platform.home)


@pytest.fixture(scope="module")
def pat(platform: Installation, operator: Heroku) -> Person:
    """Invited, with a password; logged in with pogo."""
    person = Person(platform, operator, platform.home / "pat", "pat@example.com")
    url = re.findall(r"^https?://\S+", platform.pogo("admin:invite", person.email), re.M)[0]
    said = person.run("pogo", "auth:join", url, input=f"Pat\n{PASSWORD}\n{PASSWORD}\n")
    assert "Done. Log in by: pogo login --host https://localhost" in said
    person.run("pogo", "login", input=f"{person.email}\n{PASSWORD}\n")
    return person


@pytest.fixture
def terminals() -> Iterator[Callable[[Terminal], Terminal]]:
    opened: list[Terminal] = []

    def opening(terminal: Terminal) -> Terminal:
        opened.append(terminal)
        return terminal

    yield opening
    for terminal in opened:
        terminal.close()


def ended(terminal: Terminal) -> bool:
    terminal.shows("")
    return terminal.process.poll() is not None


def log_in_officially(
    pat: Person, terminals: Callable[[Terminal], Terminal], code: str | None = None, text: str = ""
) -> str:
    """`heroku login -i`, answered by a person; what is then on the terminal."""
    terminal = terminals(pat.terminal("heroku", "login", "-i"))
    eventually(lambda: terminal.shows("Email"))
    terminal.type(f"{pat.email}\r")
    eventually(lambda: terminal.shows("Password"))
    terminal.type(f"{PASSWORD}\r")
    if code:
        eventually(lambda: terminal.shows("(?i)two-factor"))
        terminal.type(f"{code}\r")
    eventually(lambda: ended(terminal))
    return terminal.text


def test_login_with_two_factors(pat: Person, terminals: Callable[[Terminal], Terminal]) -> None:
    said = log_in_officially(pat, terminals)
    assert f"Logged in as {pat.email}" in said, said
    assert f"machine localhost:{pat.platform.https_port}" in (pat.home / ".netrc").read_text()
    sessions = pat.run("heroku", "sessions")
    ids = re.findall(rf"Heroku CLI login.* ({UUID})", sessions)
    assert ids, sessions
    enabling = terminals(pat.terminal("pogo", "auth:2fa:enable"))
    eventually(lambda: enabling.shows("Password: "))
    enabling.type(f"{PASSWORD}\r")
    eventually(lambda: enabling.shows(r"authenticator: \w{32}"))
    secret = re.findall(r"authenticator: (\w+)", enabling.text)[0]
    enabling.type(f"{pyotp.TOTP(secret).now()}\r")
    eventually(lambda: ended(enabling))
    codes = re.findall(r"^  ([0-9a-f-]{19})\r?$", enabling.text, re.M)
    assert len(codes) == 10, enabling.text
    assert f"Destroying {ids[0]}... done" in pat.run("heroku", "sessions:destroy", ids[0])
    said = log_in_officially(pat, terminals, code=codes[0])
    assert f"Logged in as {pat.email}" in said, said
    pat.run("pogo", "auth:2fa:disable", input=f"{PASSWORD}\n")
    assert "Two-factor authentication is not enabled" in pat.run("heroku", "2fa")


def account_of(pat: Person, token: str) -> int:
    """Status of the API's answer to somebody with this token."""
    url = f"http://localhost:{pat.platform.http_port}/account"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_login_in_a_browser(pat: Person, terminals: Callable[[Terminal], Terminal]) -> None:
    token = re.findall(r"password (\S+)", (pat.home / ".netrc").read_text())[0]
    assert account_of(pat, token) == 200
    assert "Logging out" in pat.run("heroku", "logout")
    assert account_of(pat, token) == 401
    terminal = terminals(pat.terminal("heroku", "login"))
    eventually(lambda: terminal.shows("Press any key"))
    terminal.type("\r")
    eventually(lambda: terminal.shows(r"/auth/browser/[\w-]+"))
    path = re.findall(r"/auth/browser/[\w-]+", terminal.text)[0]
    form = urlencode({"email": pat.email, "password": PASSWORD, "go": "on"}).encode()
    page = f"http://localhost:{pat.platform.http_port}{path}"
    with urllib.request.urlopen(page, form, timeout=30) as answer:
        assert b"You are pat@example.com" in answer.read()
    eventually(lambda: ended(terminal))
    assert f"Logged in as {pat.email}" in terminal.text, terminal.text


def test_keys_tokens_and_clients(pat: Person, operator: Heroku, platform: Installation) -> None:
    operator("keys:add", str(pat.home / "id.pub"))
    assert "pat@laptop" in operator("keys") and "pat@laptop" in platform.pogo("keys", "--long")
    platform.pogo("keys:remove", "pat@laptop")
    made = operator("authorizations:create", "-d", "robot", "-s", "read", "-e", "1000")
    id, token = re.findall(rf"ID: +({UUID})", made)[0], re.findall(r"Token: +(\S+)", made)[0]
    narrow = {**operator.environment, "HEROKU_API_KEY": token}
    refused = platform.call("heroku", "config", "-a", "hello", env=narrow)
    assert refused.returncode and "its scope is read" in refused.stdout
    assert token not in operator("authorizations:rotate", id)
    assert "revoked authorization from robot" in platform.pogo("authorizations:revoke", id)
    made = operator("clients:create", "bot", "https://bot.example.com/cb")
    client = re.findall(rf"HEROKU_OAUTH_ID=({UUID})", made)[0]
    assert "https://bot.example.com/cb" in platform.pogo("clients:info", client)
    assert "HEROKU_OAUTH_SECRET" in platform.pogo("clients:rotate", client, "-s")
    platform.pogo("clients:destroy", client)
    assert "No OAuth clients" in platform.pogo("clients")


def test_access_and_transfer(pat: Person, operator: Heroku, platform: Installation) -> None:
    platform.pogo("create", "given", "--no-remote")
    operator("access:add", pat.email, "-a", "given")
    assert re.search(rf"{pat.email} +collaborator +deploy, operate, view", operator("access", "-a", "given"))
    platform.pogo("access:update", pat.email, "-p", "view", "-a", "given")
    assert "=== given" in pat.run("pogo", "apps:info", "-a", "given")
    refused = pat.run("heroku", "config:set", "A=1", "-a", "given", check=False)
    assert "You need the permission deploy or operate on given" in refused
    assert pat.email in operator("apps:transfer", pat.email, "-a", "given")
    assert re.search(r"given +admin@localhost +pat@example.com +pending", pat.run("pogo", "apps:transfers"))
    pat.run("pogo", "apps:transfers:accept", "given")
    assert "given" in pat.run("pogo", "apps")
    pat.run("pogo", "access:remove", "admin@localhost", "-a", "given")
    record = platform.pogo("admin:audit", "--user", pat.email)
    assert "PATCH /account/app-transfers/{transfer}" in record and "127.0.0.1" in record
    pat.run("pogo", "destroy", "--confirm", "given", "-a", "given")
    assert "still owns" not in platform.pogo("admin:users:remove", pat.email)
