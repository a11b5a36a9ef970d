"""How the router treats the requests of one app: the settings, their bounds, and what the router is told. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import urlsplit

from pogo.errors import InvalidParams
from pogo.router import Options
from pogo.router.options import LONGEST_IPV6_PREFIX, digest

ERROR_PAGE = "ERROR_PAGE_URL"
MAINTENANCE_PAGE = "MAINTENANCE_PAGE_URL"
MOST_RANGES = 500
LONGEST_PASSWORD = 200
LONGEST_URL = 1000
# name → least and most
BOUNDS = {
    "first_byte_timeout": (1, 3600),
    "idle_timeout": (1, 3600),
    "websocket_timeout": (1, 86_400),
    "requests_per_dyno": (1, 10_000),
    "queue_length": (1, 10_000),
    "hsts": (0, 63_072_000),
    "rate_limit": (0, 100_000),
}
RETRIES = ("connect", "idempotent")


@dataclass(frozen=True)
class RouterSettings:
    """first_byte_timeout (H12), idle_timeout (of an event stream, H15), websocket_timeout: seconds.

    requests_per_dyno: in flight, WebSockets not counted; queue_length: requests that wait beyond that (H11).
    retry: `connect` tries another dyno when the first one could not be reached, `idempotent` also when it hung up
    without an answer to GET, HEAD, OPTIONS, TRACE, PUT or DELETE. hsts: seconds, 0 for none. allow, deny: IP ranges,
    the narrowest one decides. rate_limit: requests a second of one client, 0 for no limit.
    basic_auth: `user:password` when it is set; kept as `user:<salt>:<digest>`.
    """

    first_byte_timeout: int = 30
    idle_timeout: int = 55
    websocket_timeout: int = 3600
    requests_per_dyno: int = 50
    queue_length: int = 200
    retry: str = "connect"
    https_only: bool = False
    hsts: int = 0
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    rate_limit: int = 0
    basic_auth: str = ""

    def kept(self) -> dict[str, Any]:
        """What is stored: the settings that differ from the defaults."""
        return {name: value for name, value in asdict(self).items() if value != getattr(DEFAULT, name)}

    def shown(self) -> dict[str, Any]:
        """For people: of the basic auth, the user's name alone."""
        return {**asdict(self), "basic_auth": self.basic_auth.split(":")[0] or None}


DEFAULT = RouterSettings()


def stored(values: Mapping[str, Any] | None) -> RouterSettings:
    """The settings from what is stored; what this version does not know is left out."""
    if not values:
        return DEFAULT
    known = {field.name for field in fields(RouterSettings)}
    lists = {name: tuple(values[name]) for name in ("allow", "deny") if name in values}
    return RouterSettings(**{**{name: value for name, value in values.items() if name in known}, **lists})


def change(settings: RouterSettings, changes: Mapping[str, Any]) -> RouterSettings:
    """The settings with some changed; None: back to the default. InvalidParams names what cannot be."""
    wanted = {name: getattr(DEFAULT, name) if value is None else value for name, value in changes.items()}
    for name, (least, most) in BOUNDS.items():
        if name in wanted and not least <= wanted[name] <= most:
            raise InvalidParams(f"{name} must be from {least} to {most}, not {wanted[name]}.")
    if wanted.get("retry", RETRIES[0]) not in RETRIES:
        raise InvalidParams(f"retry must be {' or '.join(RETRIES)}, not {wanted['retry']}.")
    for name in ("allow", "deny"):
        if name in wanted:
            wanted[name] = _ranges(name, wanted[name])
    if wanted.get("basic_auth"):
        wanted["basic_auth"] = _credentials(wanted["basic_auth"])
    return replace(settings, **wanted)


def _ranges(name: str, texts: Any) -> tuple[str, ...]:
    """IP ranges as CIDR, without repetition: `10.1.2.3` is `10.1.2.3/32`."""
    if len(texts) > MOST_RANGES:
        raise InvalidParams(f"{name} must be at most {MOST_RANGES} ranges.")
    found = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError as error:
            raise InvalidParams(f"{name} must be IP ranges such as 203.0.113.0/24: {error}.") from None
        if network.version == 6 and network.prefixlen > LONGEST_IPV6_PREFIX:
            raise InvalidParams(
                f"{name} must name IPv6 ranges of /{LONGEST_IPV6_PREFIX} or more addresses, not {network}: "
                f"the router does not tell single ones apart. Use {network.supernet(new_prefix=64)}."
            )
        found.append(str(network))
    return tuple(dict.fromkeys(found))


def _credentials(text: str) -> str:
    user, colon, password = text.partition(":")
    if not (colon and user and password) or len(text) > LONGEST_PASSWORD or not text.isprintable():
        raise InvalidParams(
            f"basic_auth must be user:password, printable and at most {LONGEST_PASSWORD} characters, or null for none."
        )
    return f"{user}:{digest(user, password)}"


def page(config: Mapping[str, str], name: str) -> str:
    """The URL of an app's own page from its config vars; "" where there is none that a browser could load."""
    url = config.get(name, "").strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    good = parts.scheme in ("http", "https") and parts.netloc and url.isprintable() and len(url) <= LONGEST_URL
    return url if good else ""


def options(settings: RouterSettings, *, affinity: bool = False, error: str = "", maintenance: str = "") -> Options:
    """What the router is told. error, maintenance: URLs of the app's own pages."""
    return Options(
        first_byte=settings.first_byte_timeout,
        idle=settings.idle_timeout,
        websocket=settings.websocket_timeout,
        in_flight=settings.requests_per_dyno,
        queue=settings.queue_length,
        retry_idempotent=settings.retry == "idempotent",
        affinity=affinity,
        https_only=settings.https_only,
        hsts=settings.hsts,
        allow=settings.allow,
        deny=settings.deny,
        rate=settings.rate_limit,
        password=settings.basic_auth.partition(":")[2],
        error_page=error,
        maintenance_page=maintenance,
    )
