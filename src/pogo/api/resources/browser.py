"""What a person does in a browser: log in for `heroku login`, let an OAuth client in, take an invitation."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from pogo.api import pages
from pogo.api.answers import answer
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import by_passkey, by_password, credentials, knock
from pogo.api.resources.authorizations import check_scope
from pogo.errors import NotFound, PogoError, TwoFactorRequired, Unavailable
from pogo.model import BrowserLogin, User
from pogo.services import invitations, logins, oauth, passkeys, people
from pogo.services.database import Database
from pogo.services.platform import Platform

router = resource_router()
streams = APIRouter()

SESSION_SECONDS = 30 * 86_400  # as login -i asks for
PATIENCE = 600  # seconds; the official client gives up then
BREATH = 15  # seconds between two signs of life
MOST_WAITING = 100
SCOPE_WORDS = {
    "global": "do everything that you can do, also change your account",
    "identity": "see who you are",
    "read": "see your apps, without their config vars",
    "write": "change your apps, without their config vars",
    "read-protected": "see your apps and their config vars",
    "write-protected": "change your apps and their config vars",
}
_waiting: set[str] = set()


class NewLogin(Body):
    """description: what the session is called, as the client names its machine."""

    description: Annotated[str, Field(max_length=1000)] = "Browser login"


@router.post("/auth")
def begin(request: Request, body: NewLogin = NewLogin()) -> Response:
    """The first step of `heroku login`: paths of the page to open, and of the token to wait for."""
    knock(request)
    page, token = logins.begin_in_browser(request.app.state.platform.db, body.description)
    return answer({"browser_url": f"/auth/browser/{page}", "cli_url": "/auth/token", "token": token})


@streams.get("/auth/token")
async def wait(request: Request) -> Response:
    """JSON, with blanks before it while the person is still at it: `{access_token}` or `{error}`."""
    platform: Platform = request.app.state.platform
    _, token = credentials(request.headers.get("authorization"))
    login = await platform.call(logins.waiting_for, token)
    if login is None:
        raise NotFound("login", "This login is over. Begin again: heroku login")
    if login.id not in _waiting and len(_waiting) >= MOST_WAITING:
        raise Unavailable("Too many logins are under way. Try again in a minute, or use: login -i")
    return StreamingResponse(_until_done(platform, login, token), media_type="application/json")


async def _until_done(platform: Platform, login: BrowserLogin, token: str) -> AsyncIterator[bytes]:
    _waiting.add(login.id)
    until, breath = time.monotonic() + PATIENCE, time.monotonic()
    try:
        while time.monotonic() < until:
            found = await platform.call(logins.waiting_for, token)
            if found is None or found.refused:
                break
            if found.token:
                yield json.dumps({"access_token": found.token}).encode()
                await platform.call(logins.fetched, found)
                return
            if time.monotonic() >= breath:
                breath = time.monotonic() + BREATH
                yield b" "
            await asyncio.sleep(0.5)
        yield json.dumps({"error": "The login was refused in the browser, or took too long."}).encode()
    finally:
        _waiting.discard(login.id)


@streams.get("/auth/browser/{page}")
async def login_page(request: Request, page: str) -> Response:
    return await tried(request, lambda: _login_form(_login(request, page)))


@streams.post("/auth/browser/{page}")
async def log_in(request: Request, page: str) -> Response:
    fields = await pages.sent(request)
    db = request.app.state.platform.db

    def work() -> Response:
        login = _login(request, page)
        if fields.get("go") == "refuse":
            logins.end_in_browser(db, login, None)
            return pages.page("Refused", "The program that asked was told so. You can close this page.")
        user = _user(request, fields)
        _, token = people.authorize(db, user, login.description, ["global"], SESSION_SECONDS, session=True)
        logins.end_in_browser(db, login, token)
        # Whoever has just shown the password may go on to a passkey.
        offer = None if fields.get("passkey") else ("Make a passkey for the next time", _making(db, user))
        text = f"You are {user.email}. Go back to your terminal; you can close this page."
        return pages.page("Logged in", text, link=offer)

    return await tried(request, work, lambda wrong: _login_form(_login(request, page), wrong))


def _login(request: Request, page: str) -> BrowserLogin:
    login = logins.in_browser(request.app.state.platform.db, page)
    if login is None or login.token or login.refused:
        raise NotFound("login", "This login is over. Begin again: heroku login")
    return login


def _login_form(login: BrowserLogin, wrong: PogoError | None = None) -> Response:
    text = f"A program wants to act for you: {login.description}\nGo on only if you started it yourself, just now."
    return _credentials_form("Log in", text, "Log in", wrong)


def _credentials_form(title: str, text: str, label: str, wrong: PogoError | None) -> Response:
    fields = pages.LOGIN_FIELDS
    status, said = (wrong.status, wrong.message) if wrong else (200, "")
    buttons = {"on": label, "refuse": "Refuse"}
    return pages.form(title, text, fields, buttons, said, status, ("Use a passkey", ""))


def _making(db: Database, user: User) -> str:
    return f"/auth/passkeys/{passkeys.begin(db, user)[1]}"


def _user(request: Request, fields: dict[str, str]) -> User:
    if fields.get("passkey"):
        return by_passkey(request, fields["passkey"])
    code = fields.get("code", "").strip() or None
    try:
        return by_password(request, fields.get("email", ""), fields.get("password", ""), code)
    except TwoFactorRequired as failure:
        if code is None:
            raise TwoFactorRequired("Type the two-factor code, too, or one of your recovery codes.") from failure
        raise


@streams.get("/oauth/authorize")
async def authorize_page(request: Request) -> Response:
    """Where a client sends the browser of a person: ?client_id=…&response_type=code&scope=…&state=…"""
    return await tried(request, lambda: _client_form(request))


@streams.post("/oauth/authorize")
async def authorize(request: Request) -> Response:
    fields = await pages.sent(request)
    db = request.app.state.platform.db

    def work() -> Response:
        client, scope = oauth.any_client(db, request.query_params.get("client_id", "")), _scope(request)
        state = request.query_params.get("state", "")
        if fields.get("go") == "refuse":
            return _back(client.redirect_uri, {"error": "access_denied", "state": state})
        _, code = oauth.grant(db, _user(request, fields), client, scope)
        return _back(client.redirect_uri, {"code": code, "state": state})

    return await tried(request, work, lambda wrong: _client_form(request, wrong))


def _scope(request: Request) -> list[str]:
    scope = request.query_params.get("scope", "identity").replace(",", " ").split()
    check_scope(scope)
    return scope


def _client_form(request: Request, wrong: PogoError | None = None) -> Response:
    client = oauth.any_client(request.app.state.platform.db, request.query_params.get("client_id", ""))
    rights = "\n".join(f"– {SCOPE_WORDS[name]}" for name in _scope(request))
    text = f"{client.name} ({urlsplit(client.redirect_uri).netloc}) wants to be allowed to:\n{rights}"
    return _credentials_form("Let a program in", text, "Log in and allow", wrong)


def _back(redirect_uri: str, query: dict[str, str]) -> Response:
    parts = urlsplit(redirect_uri)
    pairs = [*parse_qsl(parts.query), *((key, value) for key, value in query.items() if value)]
    return RedirectResponse(urlunsplit(parts._replace(query=urlencode(pairs))), 303, pages.HEADERS)


@streams.get("/join/{token}")
async def join_page(request: Request, token: str) -> Response:
    """Where an invitation, or a password reset, leads."""
    return await tried(request, lambda: _join_form(request, token))


@streams.post("/join/{token}")
async def join(request: Request, token: str) -> Response:
    fields = await pages.sent(request)

    def work() -> Response:
        knock(request)
        if fields.get("password") != fields.get("password_confirmation"):
            return _join_form(request, token, "The two passwords are not the same.")
        name = fields.get("name", "").strip()[:200] or None
        user = invitations.accept(request.app.state.platform.db, token, fields.get("password", ""), name)
        return pages.page("Done", f"You are {user.email}. Log in with the password you have just set: pogo login")

    return await tried(request, work, lambda wrong: _join_form(request, token, wrong.message))


def _join_form(request: Request, token: str, wrong: str = "") -> Response:
    row = invitations.find(request.app.state.platform.db, token)
    fields = (pages.NAME_FIELD if row.user_id is None else "") + pages.NEW_PASSWORD_FIELDS
    title, label = ("Your account", "Make my account") if row.user_id is None else ("A new password", "Set it")
    text = f"For {row.email}, from {row.invited_by}."
    return pages.form(title, text, fields, {"on": label}, wrong, 422 if wrong else 200)


async def tried(
    request: Request, work: Callable[[], Response], again: Callable[[PogoError], Response] | None = None
) -> Response:
    """What `work` gives, in a thread; where it refuses, the form `again` with the reason, or a page that says it."""
    try:
        return await run_in_threadpool(work)
    except NotFound as failure:
        return pages.page("This does not work", failure.message, failure.status)
    except PogoError as failure:
        if again is None:
            return pages.page("This does not work", failure.message, failure.status)
        try:
            return await run_in_threadpool(again, failure)
        except PogoError as other:
            return pages.page("This does not work", other.message, other.status)
