"""The edge router: hosts to backends, backends to dynos. The data plane is HAProxy.

The whole desired state is given each time; the driver reads the real state, makes the smallest
change and never reloads. Decisions (which dyno is in, which error an app shows) are made elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Refusal = Literal["", "H10", "H14", "H20", "H80", "H99"]


@dataclass(frozen=True)
class Server:
    """name: `[a-z0-9-]` and unique for ever (the dyno's container id), it comes back in the request log."""

    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Options:
    """How the requests of one app are treated.

    first_byte, idle, websocket: seconds until a dyno has to begin its answer, of silence in an event stream, of
    silence on a WebSocket. in_flight: requests at a dyno at a time, WebSockets not counted; queue: requests that wait
    for a dyno then, the next one is H11. retry_idempotent: a request that HTTP calls idempotent goes to another dyno
    when the first one hung up without an answer. hsts: max-age in seconds, 0 for none.
    allow, deny: IP ranges in CIDR; the narrowest one that holds the client decides; with any in `allow`, no other
    client gets in. rate: requests a second of one client, 0 for no bound. password: `router.options.digest`, "" for
    none. error_page, maintenance_page: URLs shown in place of our own pages, "" for those.
    """

    first_byte: int = 30
    idle: int = 55
    websocket: int = 3600
    in_flight: int = 50
    queue: int = 200
    retry_idempotent: bool = False
    affinity: bool = False
    https_only: bool = False
    hsts: int = 0
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    rate: int = 0
    password: str = ""
    error_page: str = ""
    maintenance_page: str = ""


PLAIN = Options()


@dataclass(frozen=True)
class Backend:
    """One app. slot: its small number, names the spare backend. refusal: Heroku's code when it serves nothing.

    servers get requests; draining ones only finish what they have.
    """

    slot: int
    servers: tuple[Server, ...] = ()
    draining: tuple[Server, ...] = ()
    refusal: Refusal = ""
    options: Options = PLAIN


@dataclass(frozen=True)
class Routes:
    """hosts: lower-case host name without port → slot."""

    hosts: Mapping[str, int] = field(default_factory=dict)
    backends: Mapping[int, Backend] = field(default_factory=dict)


@dataclass(frozen=True)
class Applied:
    """changes: how many commands were needed; busy: draining servers (by name) that still have requests."""

    changes: int
    busy: frozenset[str]


class Router(Protocol):
    """Raises `errors.Unavailable` when the data plane does not answer."""

    async def apply(self, routes: Routes) -> Applied:
        """Make the router's state equal to `routes`. A server absent from both lists is removed."""
        ...

    def watch(self) -> AsyncIterator[None]:
        """Something each time the router may have (re)started, without its routes: a hint."""
        ...
