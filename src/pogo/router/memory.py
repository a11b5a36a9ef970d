"""An edge router in memory, for tests of decisions. `tests/contract/test_router.py` states its contract."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

from pogo.errors import Unavailable
from pogo.router import PLAIN, Applied, Backend, Routes, Server


class MemoryRouter:
    """down: set it, and `apply` raises Unavailable. changed: called after each apply that changed something."""

    def __init__(self) -> None:
        self.routes = Routes()
        self.down = False
        self.changed: Callable[[], None] = lambda: None
        self._in_flight: Counter[str] = Counter()

    async def apply(self, routes: Routes) -> Applied:
        if self.down:
            raise Unavailable("cannot reach the router")
        known = {server.name for backend in self.routes.backends.values() for server in _servers(backend)}
        backends = {
            slot: Backend(
                slot,
                backend.servers,
                tuple(server for server in backend.draining if server.name in known),
                backend.refusal,
                backend.options,
            )
            for slot, backend in routes.backends.items()
        }
        wanted = Routes(dict(routes.hosts), backends)
        changes = _differences(self.routes, wanted)
        self.routes = wanted
        kept = {server.name for backend in backends.values() for server in _servers(backend)}
        for name in set(self._in_flight) - kept:
            del self._in_flight[name]
        if changes:
            self.changed()
        draining = {server.name for backend in backends.values() for server in backend.draining}
        return Applied(changes, frozenset(name for name in draining if self._in_flight[name] > 0))

    async def watch(self) -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()  # it never restarts

    def answer(self, host: str) -> str:
        """Who answers a request for this host now: a server's name, Heroku's code of a refusal, or "404"."""
        slot = self.routes.hosts.get(host.lower().rstrip("."))
        if slot is None:
            return "404"
        backend = self.routes.backends.get(slot, Backend(slot))
        if backend.refusal:
            return backend.refusal
        if not backend.servers:
            return "H99"
        return min(backend.servers, key=lambda server: self._in_flight[server.name]).name

    def begin(self, name: str) -> None:
        """A request to this server starts and lasts until `finish`."""
        self._in_flight[name] += 1

    def finish(self, name: str) -> None:
        self._in_flight[name] -= 1


def _servers(backend: Backend) -> tuple[Server, ...]:
    return backend.servers + backend.draining


def _differences(old: Routes, new: Routes) -> int:
    return len(_facts(old) ^ _facts(new))


def _facts(routes: Routes) -> set[tuple[object, ...]]:
    facts: set[tuple[object, ...]] = {("host", host, slot) for host, slot in routes.hosts.items()}
    for slot, backend in routes.backends.items():
        facts |= {("refusal", slot, backend.refusal)} if backend.refusal else set()
        facts |= {("options", slot, backend.options)} if backend.options != PLAIN else set()
        facts |= {("serves", slot, server) for server in backend.servers}
        facts |= {("drains", slot, server) for server in backend.draining}
    return facts
