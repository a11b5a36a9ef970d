"""URLs that carry their own permission, for clients that send no token: output streams, sources, slugs.

The key is the file `<state>/keys/url.key` of the installation. Whoever has such a URL may use it.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from functools import lru_cache
from pathlib import Path

from pogo.errors import Forbidden, PogoError
from pogo.settings import Settings


def api_url(settings: Settings) -> str:
    """Base URL of this API; plain HTTP on a local installation, whose CA other clients do not know."""
    host = settings.api_host
    return settings.http_url(host) if settings.local else settings.https_url(host)


def stream_url(settings: Settings, kind: str, id: str) -> str:
    """Where the output of a build (`builds`) or of a release phase (`releases`) is read. It does not expire."""
    return f"{api_url(settings)}/streams/{kind}/{id}?token={sign(settings, 'streams', kind, id)}"


def expiring_name(id: str, seconds: int) -> str:
    """A name for `object_url` that `check_expiry` refuses after so many seconds."""
    return f"{int(time.time()) + seconds}-{id}"


def check_expiry(name: str) -> str:
    """The id in an expiring name. Raises Forbidden."""
    until, _, id = name.partition("-")
    if not until.isdigit() or int(until) < time.time():
        raise Forbidden("This URL has expired. Ask for a new one.")
    return id


def object_url(settings: Settings, kind: str, name: str, verb: str) -> str:
    """Where an object is read (`get`) or written (`put`)."""
    return f"{api_url(settings)}/{kind}/{name}?token={sign(settings, verb, kind, name)}"


def sign(settings: Settings, *parts: str) -> str:
    text = "\n".join(parts).encode()
    return hmac.new(_key(settings.state_dir / "keys" / "url.key"), text, hashlib.sha256).hexdigest()


def check(settings: Settings, token: str, *parts: str) -> None:
    """Raises Forbidden unless `token` was made by `sign` from the same parts."""
    if not hmac.compare_digest(token.encode(), sign(settings, *parts).encode()):
        raise Forbidden("This URL is not valid: it was not made by this platform, or not for this.")


@lru_cache(maxsize=8)
def _key(file: Path) -> bytes:
    try:
        key = file.read_bytes().strip()
    except OSError as failure:
        raise PogoError(f"The key of signed URLs cannot be read ({failure}). bin/up makes it.") from failure
    if len(key) < 32:
        raise PogoError(f"The key of signed URLs in {file} is too short. Remove the file and run bin/up.")
    return key
