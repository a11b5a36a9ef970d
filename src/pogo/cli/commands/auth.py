"""auth:login, auth:logout, auth:whoami, auth:token."""

from __future__ import annotations

import os
import sys
from typing import Any

from pogo.cli import output, platforms
from pogo.cli.client import Api, basic, escape
from pogo.cli.context import Context
from pogo.cli.errors import ApiError, CliError, NotLoggedIn
from pogo.cli.platforms import Platform

EXPIRES_IN = 2_592_000


def login(context: Context) -> None:
    """Exchange e-mail and password for a token of 30 days, and keep the token, never the password."""
    if os.environ.get("POGO_API_KEY"):
        raise CliError("Cannot log in with POGO_API_KEY set.\nRun unset POGO_API_KEY first.", 1)
    platform = platforms.find(context.option("host"))
    if context.on("browser"):
        _remember(platform._replace(token=_in_browser(platform)))
        return
    sys.stderr.write(f"pogo: Enter your login credentials for {platform.api}\n")
    email = ask(f"Email [{platform.email}]: " if platform.email else "Email: ").strip() or platform.email
    if not email:
        raise CliError("No e-mail address was given.")
    password = ask_secret("Password: ")
    api = Api(platform)
    body = {
        "description": f"pogo login from {os.uname().nodename}",
        "expires_in": int(context.option("expires-in") or EXPIRES_IN),
        "scope": ["global"],
    }
    authorization = _authorize(api, email, password, body)
    _remember(platform._replace(token=authorization["access_token"]["token"]))


def _remember(platform: Platform) -> None:
    email = Api(platform).get("/account")["email"]
    platforms.remember(platform._replace(email=email))
    output.line(f"Logged in as {output.paint(str(email), 'green')}")


def _in_browser(platform: Platform) -> str:
    """A token, after the person has logged in on the page of the platform: as the official client does it."""
    import webbrowser

    api, nobody = Api(platform), {"Authorization": ""}
    description = {"description": f"pogo login from {os.uname().nodename}"}
    begun = api.call("POST", "/auth", description, headers=nobody)
    url = f"{platform.api}{begun['browser_url']}"
    sys.stderr.write(f"pogo: Log in on this page: {url}\n")
    if sys.stderr.isatty() and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("BROWSER")):
        webbrowser.open(url)
    sys.stderr.write("pogo: Waiting for it, ten minutes at most…\n")
    answer = api.call("GET", begun["cli_url"], headers={"Authorization": f"Bearer {begun['token']}"})
    if "access_token" not in answer:
        raise CliError(str(answer.get("error") or "The login has failed."), 2)
    return str(answer["access_token"])


def _authorize(api: Api, email: str, password: str, body: dict[str, Any]) -> Any:
    headers = {"Authorization": basic(email, password)}
    try:
        return api.call("POST", "/oauth/authorizations", body, headers=headers)
    except ApiError as failure:
        if failure.id != "two_factor":
            raise CliError(str(failure.body.get("message") or failure.message), 2) from failure
        headers["Heroku-Two-Factor-Code"] = ask_secret("Two-factor code: ")
        return api.call("POST", "/oauth/authorizations", body, headers=headers)


def ask(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise CliError("There is no answer to read: the input has ended.")
    return answer.rstrip("\r\n")


def ask_secret(question: str) -> str:
    """Without echo on a terminal; from stdin where there is none (scripts, tests)."""
    if not sys.stdin.isatty():
        return ask(question)
    from getpass import getpass

    return getpass(question, sys.stderr)


def logout(context: Context) -> None:
    """Revoke the session and the token; already invalid ones are fine. The platform itself stays known."""
    platform = context.platform
    with output.Action("Logging out"):
        if platform.token:
            _revoke(context.api, platform.token)
        known = platforms.load().known.get(platform.api)
        if known:
            platforms.remember(known._replace(token=None), switch=False)


def _revoke(api: Api, token: str) -> None:
    """The session of this token, and the authorization that holds it."""
    try:
        api.delete("/oauth/sessions/~")
    except ApiError as failure:
        if failure.status not in (401, 404):
            raise
    try:
        for one in api.get_all("/oauth/authorizations"):
            if _same_token((one.get("access_token") or {}).get("token") or "", token):
                api.delete(f"/oauth/authorizations/{escape(one['id'])}")
    except ApiError as failure:
        if failure.status not in (401, 404):
            raise


def _same_token(shown: str, token: str) -> bool:
    """The list may redact a token with ten asterisks: then what is left of it, if anything, has to fit."""
    start, stars, end = shown.partition("*" * 10)
    return shown == token or bool(stars and (start or end) and token.startswith(start) and token.endswith(end))


def whoami(context: Context) -> None:
    try:
        output.line(context.api.get("/account")["email"])
    except ApiError as failure:
        if failure.status != 401:
            raise
        raise NotLoggedIn(context.platform.api, "Your login is no longer valid") from failure


def token(context: Context) -> None:
    if not context.platform.token:
        raise NotLoggedIn(context.platform.api)
    output.line(context.platform.token)
