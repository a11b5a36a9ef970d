"""Passkeys: listed and removed through the API (ours: Heroku does this on web pages alone); made on a page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from pogo.api import pages
from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Me, knock, party
from pogo.api.resources.account import check_password
from pogo.api.resources.browser import tried
from pogo.api.show import people as show
from pogo.api.show.shapes import time
from pogo.api.signed_urls import api_url
from pogo.errors import PogoError
from pogo.services import passkeys
from pogo.services.platform import Platform

router = resource_router()
streams = APIRouter()


class Password(Body):
    """password: the present one: a stolen token alone must not make a passkey."""

    password: str


class Name(Body):
    name: str


class Asked(Body):
    """page: secret of the page that makes a passkey; none to log in."""

    page: Annotated[str | None, Field(max_length=200)] = None


@router.get("/account/passkeys")
def index(me: Me) -> Response:
    return listing(me, passkeys.list_passkeys(me.platform.db, me.user), show.passkey, "id", "name")


@router.post("/account/passkeys")
def begin(me: Me, body: Password) -> Response:
    """The URL of a page that makes one passkey, in whatever browser opens it first."""
    check_password(me, body.password)
    row, secret = passkeys.begin(me.platform.db, me.user)
    url = f"{api_url(me.platform.settings)}/auth/passkeys/{secret}"
    return answer({"url": url, "expires_at": time(row.expires_at)}, 201)


@router.patch("/account/passkeys/{passkey}")
def rename(me: Me, passkey: str, body: Name) -> Response:
    return answer(show.passkey(passkeys.rename(me.platform.db, me.user, passkey, body.name)))


@router.delete("/account/passkeys/{passkey}")
def remove(me: Me, passkey: str) -> Response:
    return answer(show.passkey(passkeys.remove(me.platform.db, me.user, passkey)))


@router.post("/auth/passkey-options")
def options(request: Request, body: Asked) -> Response:
    """For the script of the pages: options of navigator.credentials, with a challenge that is good once."""
    knock(request)
    platform: Platform = request.app.state.platform
    who = party(platform.settings)
    if body.page:
        return answer(passkeys.creation_options(platform.db, who, body.page))
    return answer(passkeys.login_options(platform.db, who))


@streams.get("/auth/passkeys/{page}")
async def making_page(request: Request, page: str) -> Response:
    return await tried(request, lambda: _form(request, page))


@streams.post("/auth/passkeys/{page}")
async def make(request: Request, page: str) -> Response:
    fields = await pages.sent(request)
    platform: Platform = request.app.state.platform

    def work() -> Response:
        knock(request)
        who = party(platform.settings)
        row = passkeys.make(platform.db, who, page, fields.get("passkey", ""), fields.get("name", ""))
        return pages.page("Done", f"{row.name} is a passkey of {row.user.email} now. You can close this page.")

    return await tried(request, work, lambda wrong: _form(request, page, wrong))


def _form(request: Request, secret: str, wrong: PogoError | None = None) -> Response:
    user = passkeys.page(request.app.state.platform.db, secret)
    text = f"For {user.email}. It logs you in without password and code, on this platform's pages."
    said, status = (wrong.message, wrong.status) if wrong else ("", 200)
    fields = pages.PASSKEY_NAME_FIELD
    return pages.form("A passkey", text, fields, {}, said, status, ("Make a passkey", secret))
