"""From HAProxy's real state and the desired routes to the commands that make them equal. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pogo.errors import InvalidParams
from pogo.router import Backend, Routes, Server
from pogo.router.config import Files, backend_name, websockets_name
from pogo.router.options import cookie, line, ranges

# Without these a server added at run time opens a new connection for every request (a sixth of the speed).
# Idle connections end here within seconds (half of those not needed, every 500 ms), before a dyno ends them (Node 5 s,
# Puma 20 s): a request that is sent when a dyno hangs up is lost, and only an idempotent one may be sent again.
POOL = "pool-purge-delay 500ms pool-max-conn 500 pool-low-conn 64"
# In the map of refusals: all routes are in, so a host that is not there is unknown.
COMPLETE = "complete"

Mode = Literal["ready", "drain", "maint"]

_SAFE_HOST = re.compile(r"[a-z0-9_.*-]{1,253}")
_SAFE_NAME = re.compile(r"[a-z0-9-]{1,100}")
_SAFE_ADDRESS = re.compile(r"[0-9a-fA-F.:]{2,45}")
_SAFE_VALUE = re.compile(r"[!-:=-~]{0,8000}")  # no blank, and no semicolon, which would begin another command


@dataclass(frozen=True)
class RealServer:
    """limit: of requests in flight, 0 for none; None where it is not known."""

    server: Server
    mode: Mode
    limit: int | None = None


@dataclass(frozen=True)
class Real:
    """What HAProxy has now: backend name → server name → server; the maps, as `config.Files` describes them."""

    servers: Mapping[str, Mapping[str, RealServer]] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    sticky: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pool:
    """One backend of HAProxy. limit: of requests in flight at each of its servers, 0 for none."""

    backend: Backend
    limit: int


def plan(real: Real, routes: Routes, paths: Files) -> list[str]:
    """Commands of HAProxy's runtime API, in an order in which no request meets a gap.

    Hosts that go leave before their slot can get other dynos; servers and what protects an app come before a host or a
    lifted refusal leads to it; a refusal stands before its servers go; draining and removal come last.
    Raises InvalidParams for a name that does not fit into a command.
    """
    _check(routes)
    hosts = {host: backend_name(slot) for host, slot in routes.hosts.items()}
    refusals = {
        backend_name(slot): str(backend.refusal) for slot, backend in routes.backends.items() if backend.refusal
    }
    refusals[COMPLETE] = "1"
    options, addresses, sticky = _tuning(routes)
    servers, leaving = _servers(real, routes)
    return [
        *_removals(paths.hosts, hosts, real.hosts),
        *_removals(paths.sticky, sticky, real.sticky),
        *servers,
        *_entries(paths.addresses, addresses, real.addresses),
        *_entries(paths.options, options, real.options),
        *_removals(paths.options, options, real.options),
        *_removals(paths.addresses, addresses, real.addresses),
        *_removals(paths.refusals, refusals, real.refusals),
        *_entries(paths.sticky, sticky, real.sticky),
        *_entries(paths.hosts, hosts, real.hosts),
        *_entries(paths.refusals, refusals, real.refusals),
        *leaving,
    ]


def _tuning(routes: Routes) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """What the maps of options, addresses and affinity shall hold."""
    options: dict[str, str] = {}
    addresses: dict[str, str] = {}
    sticky: dict[str, str] = {}
    for slot, backend in routes.backends.items():
        if text := line(backend.options):
            options[backend_name(slot)] = text
            addresses.update(ranges(backend))
            if backend.options.affinity:
                sticky.update((cookie(server.name), server.name) for server in backend.servers)
    return options, addresses, sticky


def _entries(path: Path, wanted: Mapping[str, str], real: Mapping[str, str]) -> Iterator[str]:
    for key, value in wanted.items():
        if real.get(key) != value:
            yield f"{'set' if key in real else 'add'} map {path} {key} {value}"


def _removals(path: Path, wanted: Mapping[str, str], real: Mapping[str, str]) -> Iterator[str]:
    for key in real:
        if key not in wanted:
            yield f"del map {path} {key}"


def limits(routes: Routes) -> dict[tuple[str, str], int]:
    """(backend name, server name) → requests in flight, for all servers that get requests. 0 for no bound."""
    return {(name, server.name): pool.limit for name, pool in _pools(routes).items() for server in pool.backend.servers}


def _pools(routes: Routes) -> dict[str, _Pool]:
    pools = {}
    for slot, backend in routes.backends.items():
        pools[backend_name(slot)] = _Pool(backend, backend.options.in_flight)
        pools[websockets_name(slot)] = _Pool(backend, 0)
    return pools


def _servers(real: Real, routes: Routes) -> tuple[list[str], list[str]]:
    """Two lists: what brings servers in; what takes them out of service or away."""
    joining: list[str] = []
    leaving: list[str] = []
    draining: list[str] = []
    wanted = _pools(routes)
    for name, pool in wanted.items():
        present = real.servers.get(name, {})
        for server in pool.backend.servers:
            joining += _join(name, server, pool.limit, present.get(server.name))
        for server in pool.backend.draining:
            found = present.get(server.name)
            if found and found.mode == "ready":
                draining.append(f"set server {name}/{server.name} state drain")
    for name, present in real.servers.items():
        keep = {server.name for server in _all(wanted[name].backend)} if name in wanted else set()
        for found in present.values():
            if found.server.name not in keep:
                leaving += _leave(f"{name}/{found.server.name}", found.mode)
    return joining, draining + leaving


def _join(backend: str, server: Server, limit: int, found: RealServer | None) -> list[str]:
    path = f"{backend}/{server.name}"
    address = f"[{server.address}]" if ":" in server.address else server.address
    if found is None:
        return [f"add server {path} {address}:{server.port} {POOL} maxconn {limit}", f"set server {path} state ready"]
    commands = []
    if (found.server.address, found.server.port) != (server.address, server.port):
        commands.append(f"set server {path} addr {server.address} port {server.port}")
    if found.limit != limit:
        commands.append(f"set maxconn server {path} {limit}")
    if found.mode != "ready":
        commands.append(f"set server {path} state ready")
    return commands


def _leave(path: str, mode: Mode) -> list[str]:
    """HAProxy refuses `del server` while a connection is open, be it idle; the next apply then tries again."""
    to_maintenance = [] if mode == "maint" else [f"set server {path} state maint"]
    return [*to_maintenance, f"shutdown sessions server {path}", f"del server {path}"]


def _all(backend: Backend) -> tuple[Server, ...]:
    return backend.servers + backend.draining


def _check(routes: Routes) -> None:
    for host in routes.hosts:
        if not _SAFE_HOST.fullmatch(host):
            raise InvalidParams(f"cannot route host {host!r}: it is not a lower-case host name")
    for backend in routes.backends.values():
        if not _SAFE_VALUE.fullmatch(line(backend.options)):
            raise InvalidParams(f"cannot route to app {backend.slot}: malformed options")
        for server in _all(backend):
            if not (_SAFE_NAME.fullmatch(server.name) and _SAFE_ADDRESS.fullmatch(server.address)):
                raise InvalidParams(f"cannot route to {server.name!r} at {server.address!r}: malformed name or address")
