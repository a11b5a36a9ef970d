"""Who calls, and whether the token may do that. What a user may do to an app: services.access."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from pogo.errors import Forbidden, Unauthorized
from pogo.model import App, Authorization, User
from pogo.services import access, people
from pogo.services.platform import Platform

SCOPES = frozenset({"global", "identity", "read", "write", "read-protected", "write-protected"})
_READ = frozenset({"read", "write", "read-protected", "write-protected"})
_WRITE = frozenset({"write", "write-protected"})
_READ_PROTECTED = frozenset({"read-protected", "write-protected"})
_WRITE_PROTECTED = frozenset({"write-protected"})
# Resources that give access to config vars: by reading them, or by running code that sees them.
_PROTECTED = (
    "api",
    "config-vars",
    "dynos",
    "builds",
    "sources",
    "releases",
    "slugs",
    "buildpack-installations",
    "app-setups",
)


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


def permits(scope: frozenset[str], method: str, path: str) -> bool:
    """Whether a token of this scope may make this call.

    Heroku: `identity` reads the account only; `read` and `write` reach everything but what shows
    config vars, for which there is `-protected`; only `global` touches accounts and other tokens.
    """
    parts = path.strip("/").split("/")
    if "global" in scope or (method, path) == ("DELETE", "/oauth/sessions/~"):
        return True
    if method == "GET" and path in ("/account", "/users/~"):
        return bool(scope & SCOPES)
    if method == "GET":
        protected = parts[-1] == "config-vars" or "slugs" in parts
        return parts[0] != "oauth" and bool(scope & (_READ_PROTECTED if protected else _READ))
    if parts[0] in ("account", "users", "oauth"):
        return False
    protected = any(part in _PROTECTED for part in parts)
    return bool(scope & (_WRITE_PROTECTED if protected else _WRITE))


def authenticate(request: Request) -> Caller:
    """The caller by a token: Bearer, or the password of Basic with any user name. Raises Unauthorized, Forbidden."""
    platform: Platform = request.app.state.platform
    _, token = credentials(request.headers.get("authorization"))
    authorization = people.whose_token(platform.db, token)
    return _admit(request, platform, authorization, token)


def authenticate_login(request: Request) -> Caller:
    """As `authenticate`, and besides by e-mail and password."""
    platform: Platform = request.app.state.platform
    email, secret = credentials(request.headers.get("authorization"))
    if not email or secret.startswith(people.TOKEN_PREFIX):
        return authenticate(request)
    user = people.check_password(platform.db, email, secret)
    return Caller(platform, user, None, "", request.headers.get("range"))


def _admit(request: Request, platform: Platform, authorization: Authorization, token: str) -> Caller:
    scope = frozenset(authorization.scope)
    request.state.oauth_scope = ",".join(sorted(scope))
    method = "GET" if request.method == "HEAD" else request.method
    if not permits(scope, method, request.scope["path"]):
        raise Forbidden(f"This token may not do that: its scope is {', '.join(sorted(scope))}.")
    return Caller(platform, authorization.user, authorization, token, request.headers.get("range"))


Me = Annotated[Caller, Depends(authenticate)]
Login = Annotated[Caller, Depends(authenticate_login)]


def _app(me: Me, app: str) -> App:
    return access.find_app(me.platform.db, me.user, app)


def _own_app(me: Me, app: str) -> App:
    found = _app(me, app)
    access.require_owner(found, me.user)
    return found


TheApp = Annotated[App, Depends(_app)]
"""The app that the path names; the caller may use it. NotFound, Forbidden."""
OwnApp = Annotated[App, Depends(_own_app)]
"""The same, for what only its owner may do."""
