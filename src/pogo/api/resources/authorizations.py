"""Tokens: made by e-mail and password (login) or by another token; listed and revoked."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import BeforeValidator, Field

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, number_as_text, resource_router
from pogo.api.caller import Caller, Login, Me
from pogo.api.show import people as show
from pogo.errors import InvalidParams, NotFound
from pogo.model import Authorization
from pogo.rules.operations import SCOPES
from pogo.services import people

router = resource_router()

TEN_YEARS = 10 * 365 * 86_400


class NewAuthorization(Body):
    """expires_in: seconds, also as text; absent: never."""

    description: Annotated[str | None, Field(max_length=1000)] = None
    scope: list[str] | None = None
    expires_in: Annotated[str | None, BeforeValidator(number_as_text), Field(pattern=r"^[1-9][0-9]{0,9}$")] = None


@router.post("/oauth/authorizations")
def create(me: Login, body: NewAuthorization = NewAuthorization()) -> Response:
    unknown = set(body.scope or ()) - SCOPES
    if unknown:
        raise InvalidParams(f"No such scope as {', '.join(sorted(unknown))}. Scopes: {', '.join(sorted(SCOPES))}.")
    seconds = min(int(body.expires_in), TEN_YEARS) if body.expires_in else None
    row, token = people.authorize(me.platform.db, me.user, body.description or "", body.scope, seconds)
    return answer(show.authorization(row, token), 201)


@router.get("/oauth/authorizations")
def index(me: Me) -> Response:
    rows = people.list_authorizations(me.platform.db, me.user)
    return listing(me, rows, lambda row: show.authorization(row, _token(me, row)), "created_at", "id")


@router.get("/oauth/authorizations/{authorization}")
def info(me: Me, authorization: str) -> Response:
    row = _find(me, authorization)
    return answer(show.authorization(row, _token(me, row)))


@router.delete("/oauth/authorizations/{authorization}")
def revoke(me: Me, authorization: str) -> Response:
    row = people.revoke(me.platform.db, me.user, _find(me, authorization).id)
    return answer(show.authorization(row))


@router.delete("/oauth/sessions/{session}")
def log_out(me: Me, session: str) -> Response:
    """A session is its token: `~` revokes the one of this very call."""
    if session != "~":
        raise NotFound("session")
    return answer(show.authorization(people.revoke(me.platform.db, me.user, _find(me, "~").id)))


def _find(me: Caller, id: str) -> Authorization:
    if id == "~" and me.authorization:
        return me.authorization
    for row in people.list_authorizations(me.platform.db, me.user):
        if row.id == id:
            return row
    raise NotFound("authorization")


def _token(me: Caller, row: Authorization) -> str:
    return me.token if me.authorization and me.authorization.id == row.id else ""
