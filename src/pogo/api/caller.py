"""Who calls, what of it the token may do, and what the user may do to the app (rules.operations)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from pogo.errors import Forbidden, Unauthorized
from pogo.model import App, Authorization, User
from pogo.rules import operations
from pogo.rules.permissions import MANAGE
from pogo.services import access, audit, logins, passkeys, people
from pogo.services.platform import Platform
from pogo.settings import Settings


@dataclass(frozen=True)
class Caller:
    """authorization, token: None and empty for a login by password. range: the Range header."""

    platform: Platform
    user: User
    authorization: Authorization | None
    token: str
    range: str | None


def credentials(header: str | None) -> tuple[str, str]:
    """(user, secret) of an Authorization header; the user of a Bearer token is empty. Raises Unauthorized."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return "", value.strip()
    if scheme.lower() == "basic":
        try:
            user, colon, secret = b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise Unauthorized from None
        if colon and secret:
            return user, secret
    raise Unauthorized


def authenticate(request: Request) -> Caller:
    """The caller by a token: Bearer, or the password of Basic with any user name.

    Raises Unauthorized, Forbidden, RateLimited.
    """
    platform: Platform = request.app.state.platform
    _, token = credentials(request.headers.get("authorization"))
    authorization = people.whose_token(platform.db, token)
    _now_known(authorization.user, authorization.id)
    _count(request, platform, authorization.user)
    scope = frozenset(authorization.scope)
    request.state.oauth_scope = ",".join(sorted(scope))
    if not operations.permits(scope, request.method, request.scope["path"]):
        raise Forbidden(f"This token may not do that: its scope is {', '.join(sorted(scope))}.")
    return Caller(platform, authorization.user, authorization, token, request.headers.get("range"))


def authenticate_login(request: Request) -> Caller:
    """As `authenticate`, and besides by e-mail, password, and the code of an account with two factors."""
    platform: Platform = request.app.state.platform
    email, secret = credentials(request.headers.get("authorization"))
    if not email or secret.startswith(people.TOKEN_PREFIX):
        return authenticate(request)
    user = by_password(request, email, secret, request.headers.get("heroku-two-factor-code"))
    return Caller(platform, user, None, "", request.headers.get("range"))


def by_password(request: Request, email: str, password: str, code: str | None) -> User:
    """Raises Unauthorized, TwoFactorRequired, RateLimited."""
    platform: Platform = request.app.state.platform
    address = knock(request)
    user = logins.log_in(platform.db, email, password, code, address)
    _now_known(user, None)
    return user


def by_passkey(request: Request, credential: str) -> User:
    """The user of a passkey, which is both factors. Raises Unauthorized, RateLimited."""
    platform: Platform = request.app.state.platform
    knock(request)
    user = passkeys.log_in(platform.db, party(platform.settings), credential)
    _now_known(user, None)
    return user


def party(settings: Settings) -> passkeys.Party:
    """Passkeys are for the host of the API alone: apps, below the same domain, cannot ask for them."""
    host = settings.api_host
    plain = [settings.http_url(host)] if settings.local else []
    return passkeys.Party(host, [settings.https_url(host), *plain])


def knock(request: Request) -> str:
    """The address of a caller without a token, who may not ask often. Raises RateLimited."""
    platform: Platform = request.app.state.platform
    who = audit.actor()
    address = who.ip if who else ""
    platform.budgets.knock(address)
    return address


def _now_known(user: User, authorization_id: str | None) -> None:
    who = audit.actor()
    if who:
        who.user, who.authorization_id = user, authorization_id


def _count(request: Request, platform: Platform, user: User) -> None:
    if request.scope["path"] != "/account/rate-limits":  # Heroku: asking how much is left costs nothing
        request.state.remaining = platform.budgets.call(user.id, platform.settings.api_rate)


Me = Annotated[Caller, Depends(authenticate)]
Login = Annotated[Caller, Depends(authenticate_login)]


def _app(request: Request, me: Me, app: str) -> App:
    needed = operations.needed(request.method, request.scope["route"].path)
    return access.find_app(me.platform.db, me.user, app, needed)


def _own_app(me: Me, app: str) -> App:
    return access.find_app(me.platform.db, me.user, app, (MANAGE,))


TheApp = Annotated[App, Depends(_app)]
"""The app that the path names; the caller has the permission that the operation needs. NotFound, Forbidden."""
OwnApp = Annotated[App, Depends(_own_app)]
"""The same, for what needs the permission to manage it."""
