"""HAProxy's real state equals the desired one after any operations, with HAProxy killed and taken over in between."""

from __future__ import annotations

import csv
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from edge_installation import Edge, running_edge, wait_until

from pogo.install import takeover
from pogo.router import PLAIN, Backend, Options, Refusal, Routes, Server
from pogo.router.config import Files, backend_name, websockets_name, write
from pogo.router.haproxy import HaproxyRouter, parse_map, parse_servers
from pogo.router.options import address_keys, cookie, line
from pogo.router.plan import Real, RealServer

STEPS = 1000
SLOTS = 12
REFUSALS: list[Refusal] = ["", "", "H10", "H14", "H20", "H80"]
TUNED = [PLAIN, Options(affinity=True), Options(allow=("10.0.0.0/8", "::1/128"), in_flight=7), Options(first_byte=5)]


@dataclass
class World:
    """What is desired. seen: servers that this HAProxy has had; a draining one that it has not is not added."""

    hosts: dict[str, int] = field(default_factory=dict)
    backends: dict[int, Backend] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    born: int = 0

    def routes(self) -> Routes:
        return Routes(dict(self.hosts), dict(self.backends))

    def change(self, chance: random.Random) -> str:
        slot = chance.randrange(1, SLOTS + 1)
        now = self.backends.get(slot, Backend(slot))
        kind = chance.choice(["boot", "boot", "retire", "stop", "refuse", "host", "move", "unhost", "destroy", "tune"])
        match kind:
            case "boot":
                self.born += 1
                port = chance.randrange(1000, 60000)
                new = Server(f"dyno-{self.born}", f"127.0.0.{chance.randrange(1, 250)}", port)
                self.backends[slot] = replace(now, servers=(*now.servers, new))
            case "retire":
                self.backends[slot] = replace(now, servers=now.servers[1:], draining=now.draining + now.servers[:1])
            case "stop":
                self.backends[slot] = replace(now, draining=())
            case "refuse":
                self.backends[slot] = replace(now, refusal=chance.choice(REFUSALS))
            case "host" | "move":
                self.hosts[f"{chance.choice(['*.', ''])}h{chance.randrange(60)}.localhost"] = slot
            case "unhost":
                self.hosts.pop(chance.choice([*self.hosts, ""]), None)
            case "destroy" if chance.random() < 0.3:
                self.backends.pop(slot, None)
                self.hosts = {host: other for host, other in self.hosts.items() if other != slot}
            case "tune":
                self.backends[slot] = replace(now, options=chance.choice(TUNED))
        return kind

    def expected(self) -> Real:
        servers: dict[str, dict[str, RealServer]] = {}
        for slot, backend in self.backends.items():
            here = {server.name: RealServer(server, "ready") for server in backend.servers}
            here |= {one.name: RealServer(one, "drain") for one in backend.draining if one.name in self.seen}
            if here:
                servers[backend_name(slot)] = _limited(here, backend.options.in_flight)
                servers[websockets_name(slot)] = _limited(here, 0)
        tuned = {slot: one.options for slot, one in self.backends.items() if one.options != PLAIN}
        return Real(
            servers,
            {host: backend_name(slot) for host, slot in self.hosts.items()},
            {
                **{backend_name(slot): str(one.refusal) for slot, one in self.backends.items() if one.refusal},
                "complete": "1",
            },
            {backend_name(slot): line(options) for slot, options in tuned.items()},
            {
                key: "allow"
                for slot, options in tuned.items()
                for text in options.allow
                for key in address_keys(slot, text)
            },
            {
                cookie(server.name): server.name
                for slot, options in tuned.items()
                if options.affinity
                for server in self.backends[slot].servers
            },
        )


def _limited(servers: dict[str, RealServer], limit: int) -> dict[str, RealServer]:
    return {name: replace(one, limit=limit if one.mode == "ready" else None) for name, one in servers.items()}


def real(edge: Edge) -> Real:
    """Asked for beside the driver's own connection, with the limits that HAProxy really has for who is not draining."""

    def ask(command: str) -> str:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(edge.settings.router_socket))
            admin.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: admin.recv(65536), b"")).decode()

    rows = csv.DictReader(ask("show stat -1 4 -1").removeprefix("# ").splitlines())
    limits = {(row["pxname"], row["svname"]): int(row["slim"] or 0) for row in rows}
    paths = edge.paths
    maps = (paths.hosts, paths.refusals, paths.options, paths.addresses, paths.sticky)
    servers = {
        backend: {name: one if one.mode == "ready" else replace(one, limit=None) for name, one in here.items()}
        for backend, here in parse_servers(ask("show servers state"), limits).items()
    }
    return Real(servers, *(parse_map(ask(f"show map {path}")) for path in maps))


@pytest.fixture
def edge() -> Iterator[Edge]:
    with running_edge(max_apps=SLOTS) as edge:
        yield edge


def test_real_equals_desired_after_1000_random_operations(edge: Edge) -> None:
    seed = int(os.environ.get("POGO_TEST_SEED", "0")) or random.randrange(1, 1_000_000)
    print(f"POGO_TEST_SEED={seed}")
    chance = random.Random(seed)
    world = World()
    last = ["start"]
    for step in range(1, STEPS + 1):
        match chance.random():
            case x if x < 0.004:
                last.append("kill -9 of HAProxy")
                edge.kill_haproxy()
                edge.start_haproxy()
                world.seen = set()
            case x if x < 0.007:
                last.append("takeover")
                _take_over(edge, step)
                world.seen = set()
            case x if x < 0.017:
                last.append("a new pogod")
                edge.router = HaproxyRouter(edge.settings.router_socket, Files.of(edge.settings))
            case _:
                last.append(world.change(chance))
        edge.run(edge.router.apply(world.routes()))
        names = {server.name for one in world.backends.values() for server in one.servers}
        leaving = {server.name for one in world.backends.values() for server in one.draining}
        world.seen = (world.seen & leaving) | names
        if step % 50 == 0 or last[-1] in ("takeover", "kill -9 of HAProxy") or step == STEPS:
            found, expected = real(edge), world.expected()
            assert found == expected, f"seed {seed}, after {step} operations, the last {last[-20:]}"
    again = edge.run(edge.router.apply(world.routes()))
    assert (again.changes, again.busy) == (0, frozenset())
    edge.run(edge.router.apply(Routes()))
    assert real(edge) == World().expected()


def _take_over(edge: Edge, number: int) -> None:
    """max_apps is raised, so that the configuration is another one."""
    edge.settings = edge.settings.model_copy(update={"max_apps": SLOTS + number})
    assert write(edge.settings)
    wait_until(lambda: edge.process is not None and _taken_over(edge, edge.process.pid), "no takeover")


def _taken_over(edge: Edge, master: int) -> bool:
    """A master that has just started misses the signal, so it is sent until it has worked."""
    if not takeover.needed(edge.settings):
        return True
    os.kill(master, signal.SIGUSR2)
    end = time.monotonic() + 2
    while takeover.needed(edge.settings) and time.monotonic() < end:
        time.sleep(0.02)
    return not takeover.needed(edge.settings)
