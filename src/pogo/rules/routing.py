"""Which dynos get requests, which only finish theirs, and what an app without dynos answers. Pure.

The rule of a switch (deploy, restart): new dynos join as soon as they are up; the old ones serve beside them until
as many new ones are up as the formation wants, then all of them drain. If a new one fails before that, nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pogo.router import PLAIN, Backend, Options, Refusal, Routes, Server

WEB = "web"

DynoState = Literal["starting", "up", "stopping", "crashed"]


@dataclass(frozen=True)
class DynoView:
    """One dyno as it is now. up: its port answers. retired: a newer release or restart replaces it.

    address, port: "" and 0 before it has a network.
    """

    container_id: str
    type: str
    state: DynoState
    retired: bool = False
    address: str = ""
    port: int = 0


@dataclass(frozen=True)
class AppView:
    """One app. hosts: its host names and domains; web_quantity: how many web dynos the formation wants."""

    slot: int
    name: str
    hosts: tuple[str, ...] = ()
    maintenance: bool = False
    has_slug: bool = True
    web_quantity: int = 0
    dynos: tuple[DynoView, ...] = ()
    options: Options = PLAIN


def routes(apps: Iterable[AppView]) -> Routes:
    """The whole desired state of the router. A host that two apps name goes to the one with the lower slot."""
    hosts: dict[str, int] = {}
    backends: dict[int, Backend] = {}
    for app in sorted(apps, key=lambda app: app.slot):
        backends[app.slot] = backend(app)
        for host in app.hosts:
            hosts.setdefault(host.lower().rstrip("."), app.slot)
    return Routes(hosts, backends)


def backend(app: AppView) -> Backend:
    dynos = [dyno for dyno in app.dynos if dyno.type == WEB]
    new_up = [dyno for dyno in dynos if dyno.state == "up" and not dyno.retired]
    old_up = [dyno for dyno in dynos if dyno.state == "up" and dyno.retired]
    stopping = [dyno for dyno in dynos if dyno.state == "stopping"]
    switched = len(new_up) >= app.web_quantity
    serving = new_up if switched else new_up + old_up
    draining = stopping + old_up if switched else stopping
    servers = _servers(serving)
    return Backend(app.slot, servers, _servers(draining), _refusal(app, dynos, bool(servers)), app.options)


def _servers(dynos: Iterable[DynoView]) -> tuple[Server, ...]:
    return tuple(Server(dyno.container_id, dyno.address, dyno.port) for dyno in dynos if dyno.address and dyno.port)


def _refusal(app: AppView, dynos: list[DynoView], serves: bool) -> Refusal:
    """Heroku: H80 maintenance mode, H14 no web processes running, H10 app crashed, H20 app boot timeout."""
    if app.maintenance:
        return "H80"
    if serves:
        return ""
    if app.web_quantity == 0 or not app.has_slug:
        return "H14"
    states = {dyno.state for dyno in dynos if not dyno.retired}
    return "H10" if states == {"crashed"} else "H20"
