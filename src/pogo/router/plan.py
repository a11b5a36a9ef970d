"""From HAProxy's real state and the desired routes to the commands that make them equal. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pogo.errors import InvalidParams
from pogo.router import Routes, Server
from pogo.router.config import Files, backend_name

# Without these a server added at run time opens a new connection for every request (a sixth of the speed).
POOL = "pool-purge-delay 60s pool-max-conn 500 pool-low-conn 64"
# In the map of refusals: all routes are in, so a host that is not there is unknown.
COMPLETE = "complete"

Mode = Literal["ready", "drain", "maint"]

_SAFE_HOST = re.compile(r"[a-z0-9_.*-]{1,253}")
_SAFE_NAME = re.compile(r"[a-z0-9-]{1,100}")
_SAFE_ADDRESS = re.compile(r"[0-9a-fA-F.:]{2,45}")


@dataclass(frozen=True)
class RealServer:
    server: Server
    mode: Mode


@dataclass(frozen=True)
class Real:
    """What HAProxy has now: backend name → server name → server, host → backend name, backend name → code."""

    servers: Mapping[str, Mapping[str, RealServer]] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)


def plan(real: Real, routes: Routes, paths: Files) -> list[str]:
    """Commands of HAProxy's runtime API, in an order in which no request meets a gap.

    Hosts that go leave before their slot can get other dynos; servers join before a host or a lifted refusal leads
    to them; a refusal stands before its servers go; draining and removal come last.
    Raises InvalidParams for a name that does not fit into a command.
    """
    _check(routes)
    hosts = {host: backend_name(slot) for host, slot in routes.hosts.items()}
    refusals = {
        backend_name(slot): str(backend.refusal) for slot, backend in routes.backends.items() if backend.refusal
    }
    refusals[COMPLETE] = "1"
    gone = [host for host in real.hosts if host not in hosts]
    lifted = [name for name in real.refusals if name not in refusals]
    servers, leaving = _servers(real, routes)
    return [
        *(f"del map {paths.hosts} {host}" for host in gone),
        *servers,
        *(f"del map {paths.refusals} {name}" for name in lifted),
        *_map_entries(paths.hosts, hosts, real.hosts),
        *_map_entries(paths.refusals, refusals, real.refusals),
        *leaving,
    ]


def _map_entries(path: object, wanted: Mapping[str, str], real: Mapping[str, str]) -> Iterator[str]:
    for key, value in wanted.items():
        if real.get(key) != value:
            yield f"{'set' if key in real else 'add'} map {path} {key} {value}"


def _servers(real: Real, routes: Routes) -> tuple[list[str], list[str]]:
    """Two lists: what brings servers in; what takes them out of service or away."""
    joining: list[str] = []
    leaving: list[str] = []
    draining: list[str] = []
    wanted = {backend_name(slot): backend for slot, backend in routes.backends.items()}
    for name, backend in wanted.items():
        present = real.servers.get(name, {})
        for server in backend.servers:
            joining += _join(name, server, present.get(server.name))
        for server in backend.draining:
            found = present.get(server.name)
            if found and found.mode == "ready":
                draining.append(f"set server {name}/{server.name} state drain")
    for name, present in real.servers.items():
        keep = (
            {server.name for server in _all(wanted[name].servers, wanted[name].draining)} if name in wanted else set()
        )
        for found in present.values():
            if found.server.name not in keep:
                leaving += _leave(f"{name}/{found.server.name}", found.mode)
    return joining, draining + leaving


def _join(backend: str, server: Server, found: RealServer | None) -> list[str]:
    path = f"{backend}/{server.name}"
    address = f"[{server.address}]" if ":" in server.address else server.address
    if found is None:
        return [f"add server {path} {address}:{server.port} {POOL}", f"set server {path} state ready"]
    commands = []
    if (found.server.address, found.server.port) != (server.address, server.port):
        commands.append(f"set server {path} addr {server.address} port {server.port}")
    if found.mode != "ready":
        commands.append(f"set server {path} state ready")
    return commands


def _leave(path: str, mode: Mode) -> list[str]:
    """HAProxy refuses `del server` while a connection is open, be it idle; the next apply then tries again."""
    to_maintenance = [] if mode == "maint" else [f"set server {path} state maint"]
    return [*to_maintenance, f"shutdown sessions server {path}", f"del server {path}"]


def _all(*groups: Iterable[Server]) -> Iterator[Server]:
    for group in groups:
        yield from group


def _check(routes: Routes) -> None:
    for host in routes.hosts:
        if not _SAFE_HOST.fullmatch(host):
            raise InvalidParams(f"cannot route host {host!r}: it is not a lower-case host name")
    for backend in routes.backends.values():
        for server in _all(backend.servers, backend.draining):
            if not (_SAFE_NAME.fullmatch(server.name) and _SAFE_ADDRESS.fullmatch(server.address)):
                raise InvalidParams(f"cannot route to {server.name!r} at {server.address!r}: malformed name or address")
