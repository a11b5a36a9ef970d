"""Webhooks: what can be subscribed to, how a delivery is signed, when it is tried again.

The levels are Heroku's: `notify` is one attempt, `sync` is tried until the receiver has it, for 72 hours.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Collection, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from pogo.errors import InvalidParams

EVENTS = (
    "api:app",
    "api:build",
    "api:collaborator",
    "api:domain",
    "api:dyno",
    "api:formation",
    "api:release",
    "api:sni-endpoint",
    "dyno",
)
SILENT = ("api:addon", "api:addon-attachment", "api:app-feature", "api:pipeline", "api:pipeline-promotion")
"""May be subscribed to, as at Heroku, and never happen here."""

LEVELS = ("notify", "sync")
MOST = 20  # webhooks of an app
WAITING = 1000  # deliveries of a webhook that are to be tried still; what comes then is not delivered
KEPT = 1000  # events of an app that are listed
PERSISTENCE = timedelta(hours=72)
_FIRST, _LONGEST = 2.0, 3600.0  # seconds between attempts


def check(url: str, include: Collection[str], level: str) -> None:
    """Raises InvalidParams for what cannot be subscribed to, or not there."""
    unknown = sorted(set(include) - {*EVENTS, *SILENT})
    if unknown or not include:
        raise InvalidParams(f"Include {', '.join(unknown) or 'is empty'}: choose from {', '.join(EVENTS)}.")
    if level not in LEVELS:
        raise InvalidParams(f"Level {level!r} is not one of {', '.join(LEVELS)}.")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise InvalidParams("Url is invalid: write https://host/path.")


def signature(secret: str, body: bytes) -> str:
    """The header Heroku-Webhook-Hmac-SHA256."""
    return b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def pause(level: str, attempts: int, age: timedelta, spread: float) -> float | None:
    """Seconds until the next attempt, after `attempts` that failed; None to give up.

    age: since the event. spread: 0 to 1; receivers that come back are not met by everybody at once.
    """
    if level == "notify" or age >= PERSISTENCE:
        return None
    return min(_FIRST * 2.0 ** min(attempts - 1, 20), _LONGEST) * (0.75 + spread / 2)


def resource_of(include: str) -> str:
    """`release` of `api:release`."""
    return include.removeprefix("api:")


def wanted(includes: Sequence[str], subscribed: Collection[str]) -> list[str]:
    return [include for include in includes if include in subscribed]
