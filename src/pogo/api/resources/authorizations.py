"""Tokens: made by e-mail and password (login), by another token or for a client; listed, renewed, revoked."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request, Response
from pydantic import BeforeValidator, Field

from pogo.api.answers import answer, listing
from pogo.api.bodies import Body, number_as_text, resource_router
from pogo.api.caller import Caller, Login, Me, knock
from pogo.api.show import people as show
from pogo.errors import InvalidParams, NotFound
from pogo.model import Authorization
from pogo.rules.operations import SCOPES
from pogo.services import oauth, people

router = resource_router()

TEN_YEARS = 10 * 365 * 86_400


Seconds = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,9}$")]


class NewAuthorization(Body):
    """expires_in: seconds, also as text; absent: never. client: id of one that gets a code instead of the caller."""

    description: Annotated[str | None, Field(max_length=1000)] = None
    scope: list[str] | None = None
    client: str | None = None
    expires_in: Annotated[Seconds | None, BeforeValidator(number_as_text)] = None


class ClientSecret(Body):
    id: str
    secret: str


class AuthorizationChange(Body):
    description: Annotated[str | None, Field(max_length=1000)] = None
    client: ClientSecret | None = None


class GivenGrant(Body):
    """type: `authorization_code`, with the code; `refresh_token`."""

    type: str
    code: str | None = None


class Secret(Body):
    secret: str


class RefreshToken(Body):
    token: str


class NewToken(Body):
    grant: GivenGrant
    client: Secret
    refresh_token: RefreshToken | None = None


@router.post("/oauth/authorizations")
def create(me: Login, body: NewAuthorization = NewAuthorization()) -> Response:
    check_scope(body.scope or [])
    db = me.platform.db
    if body.client:
        client = oauth.any_client(db, body.client)
        grant, code = oauth.grant(db, me.user, client, body.scope or ["identity"])
        return answer(show.granted(grant, code, client, me.user), 201)
    seconds = min(int(body.expires_in), TEN_YEARS) if body.expires_in else None
    by_login = me.authorization is None
    row, token = people.authorize(db, me.user, body.description or "", body.scope, seconds, session=by_login)
    return answer(show.authorization(row, token), 201)


def check_scope(scope: list[str]) -> None:
    unknown = set(scope) - SCOPES
    if unknown:
        raise InvalidParams(f"No such scope as {', '.join(sorted(unknown))}. Scopes: {', '.join(sorted(SCOPES))}.")


@router.get("/oauth/authorizations")
def index(me: Me) -> Response:
    rows = people.list_authorizations(me.platform.db, me.user)
    return listing(me, rows, lambda row: show.authorization(row, _token(me, row)), "created_at", "id")


@router.get("/oauth/authorizations/{authorization}")
def info(me: Me, authorization: str) -> Response:
    row = _find(me, authorization)
    return answer(show.authorization(row, _token(me, row)))


@router.patch("/oauth/authorizations/{authorization}")
def update(me: Me, authorization: str, body: AuthorizationChange) -> Response:
    client = (body.client.id, body.client.secret) if body.client else None
    id = _find(me, authorization).id
    row = oauth.update_authorization(me.platform.db, me.user, id, body.description, client)
    return answer(show.authorization(row, _token(me, row)))


@router.post("/oauth/authorizations/{authorization}/actions/regenerate-tokens")
def regenerate(me: Me, authorization: str) -> Response:
    """The old token ends at once, also where it is the one of this very call."""
    row, token = oauth.regenerate(me.platform.db, me.user, _find(me, authorization).id)
    return answer(show.authorization(row, token))


@router.delete("/oauth/authorizations/{authorization}")
def revoke(me: Me, authorization: str) -> Response:
    row = people.revoke(me.platform.db, me.user, _find(me, authorization).id)
    return answer(show.authorization(row))


@router.post("/oauth/tokens")
def create_token(request: Request, body: NewToken) -> Response:
    """By a client, which proves itself by its secret."""
    knock(request)
    db = request.app.state.platform.db
    if body.grant.type == "authorization_code" and body.grant.code:
        made = oauth.exchange(db, body.grant.code, body.client.secret)
    elif body.grant.type == "refresh_token" and body.refresh_token:
        made = oauth.refresh(db, body.refresh_token.token, body.client.secret)
    else:
        raise InvalidParams("Invalid request: grant.type authorization_code needs grant.code, refresh_token its token")
    return answer(show.token(*made, grant_type=body.grant.type), 201)


@router.delete("/oauth/tokens/{token}")
def revoke_token(me: Me, token: str) -> Response:
    for row in people.list_authorizations(me.platform.db, me.user):
        if token in (row.id, show.token_id(row)):
            return answer(show.token(people.revoke(me.platform.db, me.user, row.id)))
    raise NotFound("token")


@router.get("/oauth/sessions")
def sessions(me: Me) -> Response:
    """Tokens that were made by a login."""
    rows = [row for row in people.list_authorizations(me.platform.db, me.user) if row.session]
    return listing(me, rows, show.session, "created_at", "id")


@router.delete("/oauth/sessions/{session}")
def log_out(me: Me, session: str) -> Response:
    """A session is its token: `~` revokes the one of this very call."""
    rows = {row.id for row in people.list_authorizations(me.platform.db, me.user) if row.session}
    if session != "~" and session not in rows:
        raise NotFound("session")
    return answer(show.session(people.revoke(me.platform.db, me.user, _find(me, session).id)))


def _find(me: Caller, id: str) -> Authorization:
    if id == "~" and me.authorization:
        return me.authorization
    for row in people.list_authorizations(me.platform.db, me.user):
        if row.id == id:
            return row
    raise NotFound("authorization")


def _token(me: Caller, row: Authorization) -> str:
    return me.token if me.authorization and me.authorization.id == row.id else ""
