"""What the operations of the API need: permissions on the app that they name, and the scope of the token.

One table for both: a resource without a line here is as closed as can be, and a test fails.
The permissions are those of Heroku's table (devcenter, "App Permissions and Allowed Actions").
"""

from __future__ import annotations

from typing import NamedTuple

from pogo.rules.permissions import DEPLOY, MANAGE, OPERATE, VIEW

SCOPES = frozenset({"global", "identity", "read", "write", "read-protected", "write-protected"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

AnyOf = frozenset[str]
"""Permissions any of which is enough."""

_VIEW: AnyOf = frozenset({VIEW})
_DEPLOY: AnyOf = frozenset({DEPLOY})
_OPERATE: AnyOf = frozenset({OPERATE})
_MANAGE: AnyOf = frozenset({MANAGE})
_EITHER: AnyOf = frozenset({DEPLOY, OPERATE})


class Need(NamedTuple):
    """read, write: permissions. shows, runs: reading shows config vars; writing changes them or runs code with them."""

    read: AnyOf
    write: AnyOf
    shows: bool = False
    runs: bool = False


#: By the part of the path after /apps/{app}; "" is the app itself.
OF_APP = {
    "": Need(_VIEW, _OPERATE),
    "acm": Need(_VIEW, _OPERATE),
    "addon-attachments": Need(_VIEW, _EITHER),
    "addons": Need(_VIEW, _EITHER),
    "available-dyno-sizes": Need(_VIEW, _OPERATE),
    "available-stacks": Need(_VIEW, _OPERATE),
    "build-cache": Need(_DEPLOY, _DEPLOY, runs=True),
    "buildpack-installations": Need(_VIEW, _EITHER, runs=True),
    "builds": Need(_VIEW, _DEPLOY, runs=True),
    "checks": Need(_VIEW, _OPERATE),
    "collaborators": Need(_VIEW, _MANAGE),
    "config-vars": Need(_EITHER, _EITHER, shows=True, runs=True),
    "domains": Need(_VIEW, _OPERATE),
    "dynos": Need(_VIEW, _OPERATE, runs=True),
    "features": Need(_VIEW, _OPERATE),
    "formation": Need(_VIEW, _OPERATE),
    "formations": Need(_VIEW, _OPERATE, runs=True),
    "log-drains": Need(_OPERATE, _OPERATE),
    "log-sessions": Need(_VIEW, _VIEW),
    "pipeline-couplings": Need(_VIEW, _OPERATE),
    "pre-authorizations": Need(_VIEW, _VIEW),
    "router": Need(_VIEW, _OPERATE),
    "router-metrics": Need(_VIEW, _OPERATE),
    "releases": Need(_VIEW, _EITHER, runs=True),
    "review-app": Need(_VIEW, _OPERATE),
    "slugs": Need(_DEPLOY, _DEPLOY, shows=True, runs=True),
    "sni-endpoints": Need(_VIEW, _OPERATE),
    "sources": Need(_DEPLOY, _DEPLOY, runs=True),
    "telemetry-drains": Need(_VIEW, _OPERATE),
    "transfers": Need(_VIEW, _OPERATE),
    "usage": Need(_VIEW, _MANAGE),
    "webhook-deliveries": Need(_VIEW, _OPERATE),
    "webhook-events": Need(_VIEW, _OPERATE),
    "webhooks": Need(_VIEW, _OPERATE),
}

#: Where a single operation differs from its resource.
_OF_OPERATION = {
    "DELETE /apps/{app}": _MANAGE,
    # A collaborator may leave, a member of the app's team may join: the endpoints look closer.
    "DELETE /apps/{app}/collaborators/{user}": _VIEW,
    "DELETE /teams/apps/{app}/collaborators/{user}": _VIEW,
    "POST /teams/apps/{app}/collaborators": _VIEW,
    "GET /apps/{app}/releases/{release}/config-vars": _EITHER,
    "POST /apps/{app}/dynos": _EITHER,
    "POST /apps/{app}/dynos/{dyno}": _EITHER,
    "POST /apps/{app}/dynos/{dyno}/actions/copy": _EITHER,
    "POST /apps/{app}/dynos/{dyno}/actions/forward": _EITHER,
}

PUSH = PULL = _DEPLOY
EXEC = _EITHER

_READ = frozenset({"read", "write", "read-protected", "write-protected"})
_WRITE = frozenset({"write", "write-protected"})
_READ_PROTECTED = frozenset({"read-protected", "write-protected"})
_WRITE_PROTECTED = frozenset({"write-protected"})
_SHOWS = frozenset(name for name, need in OF_APP.items() if need.shows)
# Besides those of an app: resources whose code runs with config vars, or that set them.
_RUNS = frozenset(name for name, need in OF_APP.items() if need.runs) | {
    "api",  # ps:exec
    "app-setups",
    "pipeline-promotions",
    "review-apps",
    "test-runs",
}
_OF_ACCOUNTS = frozenset({"account", "users", "oauth", "invitations", "audit-events", "password-resets"})
_NEVER_READ = frozenset({"oauth", "invitations", "audit-events"})


def needed(method: str, template: str) -> AnyOf:
    """Permissions any of which an operation of an app needs; template: the route, as `/apps/{app}/dynos/{dyno}`."""
    method = "GET" if method in SAFE else method
    special = _OF_OPERATION.get(f"{method} {template}")
    if special:
        return special
    need = OF_APP.get(_resource(template), Need(_MANAGE, _MANAGE))
    return need.read if method == "GET" else need.write


def is_known(template: str) -> bool:
    return _resource(template) in OF_APP


def _resource(template: str) -> str:
    """`dynos` of /apps/{app}/dynos/{dyno}, "" of /apps/{app}, wherever that stands: below /teams are apps of teams."""
    return template.partition("/apps/{app}")[2].strip("/").partition("/")[0]


def permits(scope: frozenset[str], method: str, path: str) -> bool:
    """Whether a token of this scope may make this call.

    Heroku: `identity` reads the account only; `read` and `write` reach everything but what shows
    config vars, for which there is `-protected`; only `global` touches accounts and other tokens.
    """
    parts = path.strip("/").split("/")
    if "global" in scope or (method, path) == ("DELETE", "/oauth/sessions/~"):
        return True
    if method in SAFE:
        if path in ("/account", "/users/~"):
            return bool(scope & SCOPES)
        protected = parts[-1] == "config-vars" or not _SHOWS.isdisjoint(parts)
        return parts[0] not in _NEVER_READ and bool(scope & (_READ_PROTECTED if protected else _READ))
    if parts[0] in _OF_ACCOUNTS:
        return False
    return bool(scope & (_WRITE if _RUNS.isdisjoint(parts) else _WRITE_PROTECTED))
