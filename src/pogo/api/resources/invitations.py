"""Accounts by invitation, and passwords by reset. The operator hands out the URLs: the platform sends no mail."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, resource_router
from pogo.api.caller import Caller, Me, authenticate, knock
from pogo.api.show import people as show
from pogo.api.signed_urls import api_url
from pogo.errors import Forbidden, InvalidParams, NotFound
from pogo.model import Invitation
from pogo.services import invitations, people

router = resource_router()


class Email(Body):
    email: str


class NewPassword(Body):
    """password_confirmation: the same again, where it is given."""

    password: str
    password_confirmation: str | None = None
    name: Annotated[str | None, Field(max_length=200)] = None


@router.get("/invitations")
def index(me: Me) -> Response:
    people.require_admin(me.user)
    return listing(me, invitations.list_invitations(me.platform.db), show.invitation, "id", "email")


@router.post("/invitations")
def invite(me: Me, body: Email) -> Response:
    people.require_admin(me.user)
    row, token = invitations.invite(me.platform.db, me.user, body.email)
    return answer(show.invitation(row) | _url(me, token), 201)


@router.delete("/invitations/{invitation}")
def withdraw(me: Me, invitation: str) -> Response:
    people.require_admin(me.user)
    return answer(show.invitation(invitations.withdraw(me.platform.db, invitation)))


@router.get("/invitations/{token}")
def info(request: Request, token: str) -> Response:
    """For whoever has the secret."""
    knock(request)
    settings = request.app.state.platform.settings
    row = invitations.find(request.app.state.platform.db, token)
    return answer(show.invitation(row) | {"api": settings.https_url(settings.api_host)})


@router.post("/invitations/{token}/actions/accept")
def accept(request: Request, token: str, body: NewPassword) -> Response:
    """By the invited person: the account, with this password."""
    knock(request)
    return answer(show.account(_accept(request, token, body, reset=False)), 201)


@router.post("/password-resets")
def reset(request: Request, body: Email) -> Response:
    """Heroku mails the person; here the operator asks, and hands out the URL in the answer."""
    if "authorization" not in request.headers:
        raise Forbidden(
            "This platform sends no mail. Ask its operator, who gets a URL for you by: pogo admin:users:reset"
        )
    me: Caller = authenticate(request)
    people.require_admin(me.user)
    user = people.find_user(me.platform.db, body.email)
    row, token = invitations.reset(me.platform.db, me.user, user)
    return answer(show.password_reset(row, user) | _url(me, token), 201)


@router.post("/password-resets/{token}/actions/finalize")
def finalize(request: Request, token: str, body: NewPassword) -> Response:
    knock(request)
    row = invitations.find(request.app.state.platform.db, token)
    return answer(show.password_reset(row, _accept(request, token, body, reset=True)))


def _accept(request: Request, token: str, body: NewPassword, *, reset: bool) -> Any:
    db = request.app.state.platform.db
    row: Invitation = invitations.find(db, token)
    if (row.user_id is not None) != reset:
        raise NotFound("invitation")
    if body.password_confirmation not in (None, body.password):
        raise InvalidParams("The two passwords are not the same.")
    return invitations.accept(db, token, body.password, body.name)


def _url(me: Caller, token: str) -> dict[str, str]:
    """Shown once."""
    return {"token": token, "url": f"{api_url(me.platform.settings)}/join/{token}"}
