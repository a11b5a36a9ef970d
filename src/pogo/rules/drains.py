"""Log drains: which addresses there may be, and how lines are sent to them.

HTTPS as Heroku's Logplex does it (`application/logplex-1`); syslog as RFC 5424 with the octet counting
of RFC 6587.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

MOST = 5  # of an app; Heroku's limit
PORTS = {"https": 443, "http": 80, "syslog+tls": 6514, "syslog": 514}
LOGPLEX_TYPE = "application/logplex-1"

# facility * 8 + severity, as Heroku sends them.
_APP = 190  # local7, info
_ROUTER = 158  # local3, info
_PLATFORM = 45  # syslog, notice


class InvalidDrain(ValueError):
    """The message says what may be given."""


@dataclass(frozen=True)
class Address:
    """scheme: https, http, syslog+tls or syslog. target: path and query of an http address."""

    scheme: str
    host: str
    port: int
    target: str = ""
    credentials: tuple[str, str] | None = None

    @property
    def web(self) -> bool:
        return self.scheme in ("https", "http")

    @property
    def tls(self) -> bool:
        return self.scheme in ("https", "syslog+tls")


def parse_url(url: str) -> Address:
    """Raises InvalidDrain."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidDrain(f"Url is invalid: {error}") from None
    if parts.scheme not in PORTS or not parts.hostname or any(character.isspace() for character in url):
        raise InvalidDrain("Url is invalid: write https://host/path, syslog+tls://host:port or syslog://host:port")
    if not parts.scheme.startswith("http"):
        if parts.username or parts.path.strip("/") or parts.query:
            raise InvalidDrain("Url is invalid: a syslog drain has a host and a port, and nothing else")
        return Address(parts.scheme, parts.hostname, port or PORTS[parts.scheme])
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, parts.hostname, port or PORTS[parts.scheme], target, credentials)


@dataclass(frozen=True)
class Message:
    """A line of the log on its way. Fields as in `pogo.logs.Line`."""

    at: float
    source: str
    dyno: str
    text: str


def logplex_body(messages: Sequence[Message]) -> bytes:
    """The frames of one request: each its length in bytes, a space, a line of Heroku's own syslog form."""
    return b"".join(_counted(f"{_head(one, 'host')} - {one.text}\n") for one in messages)


def syslog_frames(messages: Sequence[Message], token: str) -> bytes:
    """RFC 5424 messages with the drain's token as their host, counted."""
    return b"".join(_counted(f"{_head(one, token)} - - {one.text}") for one in messages)


def _head(message: Message, host: str) -> str:
    at = datetime.fromtimestamp(message.at, UTC).isoformat(timespec="microseconds")
    return f"<{_priority(message)}>1 {at} {host} {message.source} {message.dyno}"


def _priority(message: Message) -> int:
    if message.source == "app":
        return _APP
    return _ROUTER if message.dyno == "router" else _PLATFORM


def _counted(line: str) -> bytes:
    data = line.encode()
    return b"%d %s" % (len(data), data)
