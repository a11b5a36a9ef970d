"""How a build shows the mirror who it is: credentials in the address of the proxy, signed by pogod. Pure.

They tell app and build in clear and an end of validity; nothing has to be looked up to check them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

SIGNATURE = 32  # hex digits
ITSELF = "localhost,127.0.0.1,::1"


@dataclass(frozen=True)
class Visitor:
    """Who uses the proxy. app: its name, "-" for the mirror's own work."""

    app: str
    build: str


def issue(key: bytes, visitor: Visitor, expires: int) -> str:
    """`user:password` for the proxy, of characters that a URL takes as they are. expires: unix time."""
    user = f"{visitor.app}.{visitor.build}"
    return f"{user}:{expires:x}.{_sign(key, user, expires)}"


def check(key: bytes, header: str, now: float) -> Visitor | None:
    """Who sends this `Proxy-Authorization` header; None where it is not one of ours or no longer valid."""
    scheme, _, encoded = header.partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("ascii") if scheme.lower() == "basic" else ""
        user, _, password = pair.partition(":")
        end, _, signature = password.partition(".")
        expires = int(end, 16)
    except (binascii.Error, ValueError):
        return None
    app, _, build = user.partition(".")
    if not hmac.compare_digest(signature, _sign(key, user, expires)) or now > expires or not (app and build):
        return None
    return Visitor(app, build)


def _sign(key: bytes, user: str, expires: int) -> str:
    return hmac.new(key, f"build {user} {expires:x}".encode(), hashlib.sha256).hexdigest()[:SIGNATURE]


def variables(address: str, port: int, credentials: str) -> dict[str, str]:
    """The environment that leads the programs of a build to the mirror.

    Most read one of the first four. Yarn 2 and later has names of its own; Node.js 24 has to be asked.
    """
    url = f"http://{credentials}@{address}:{port}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "YARN_HTTP_PROXY", "YARN_HTTPS_PROXY")
    return {**dict.fromkeys(names, url), "NO_PROXY": ITSELF, "no_proxy": ITSELF, "NODE_USE_ENV_PROXY": "1"}
