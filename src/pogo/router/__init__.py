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
class Backend:
    """One app. slot: its small number, names the spare backend. refusal: Heroku's code when it serves nothing.

    servers get requests; draining ones only finish what they have.
    """

    slot: int
    servers: tuple[Server, ...] = ()
    draining: tuple[Server, ...] = ()
    refusal: Refusal = ""


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
