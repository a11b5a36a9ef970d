"""Certificates from a real ACME server (pebble), proven through a real HAProxy and through DNS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from authority_rig import Pebble
from cryptography import x509
from edge_installation import Edge, handshake

from pogo.containers.memory import MemoryContainers
from pogo.logs.memory import MemoryLogs
from pogo.loops import acme as loop
from pogo.loops.acme import AcmeLoop
from pogo.loops.certificates import CertificatesLoop
from pogo.model import App, Domain, User
from pogo.router.acme import AcmeAuthority
from pogo.router.config import one_at_a_time
from pogo.router.haproxy_certificates import HaproxyCertificates
from pogo.router.memory import MemoryRouter
from pogo.rules import acme as rules
from pogo.services import acme, apps, certificates, domains, people
from pogo.services.database import Database
from pogo.services.platform import Platform

DOMAIN = "apps.example.net"


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    edge = Edge()
    try:
        edge.start()
        yield edge
    finally:
        edge.close()


@pytest.fixture(scope="module")
def pebble(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    pebble = Pebble(tmp_path_factory.mktemp("pebble"), edge.settings.http_port)
    try:
        pebble.start()
        yield pebble
    finally:
        pebble.close()


class Killed(BaseException):
    """What a kill -9 is to the code that runs."""


class World:
    """One installation, whose daemon is born again with each `daemon`."""

    def __init__(self, edge: Edge, pebble: Pebble, db: Database) -> None:
        self.edge, self.pebble, self.db = edge, pebble, db
        self.settings = edge.settings.model_copy(
            update={
                "domain": "localhost",
                "acme_directory": pebble.url,
                "acme_ca": str(pebble.ca),
                "acme_email": "op@example.net",
                "acme_dns_hook": "",
            }
        )
        unused: Any = None
        self.logs = MemoryLogs()
        self.platform = Platform(
            self.settings, db, unused, self.logs, unused, MemoryContainers(), MemoryRouter(), "test"
        )
        self.owner: User = people.create_user(db, "ann@example.com", "correct horse", admin=False)
        self.app: App = apps.create_app(db, self.owner, "shop", "pogo-13", 10)
        self.acme = self.daemon()

    def daemon(self) -> AcmeLoop:
        router = HaproxyCertificates(self.settings.router_socket, self.edge.paths, one_at_a_time(self.settings))
        authority = AcmeAuthority(self.settings.acme_directory, Path(self.settings.acme_ca), self.settings.acme_email)
        self.acme = AcmeLoop(self.platform, CertificatesLoop(self.platform, router), authority)
        return self.acme

    def domain(self, hostname: str) -> Domain:
        domain = domains.add_domain(self.db, self.app, hostname, DOMAIN)
        self.app = acme.switch(self.db, self.settings, self.app, on=True)
        return domain

    def status(self, domain: Domain) -> tuple[str, str | None]:
        found = domains.find_domain(self.db, self.app, domain.id)
        return rules.status(acme.states(self.db, self.settings, self.app, [found])[domain.id])

    def turn(self) -> None:
        asyncio.run(self.acme.turn())
        asyncio.run(self.acme.certificates.turn())

    def until(self, condition: Callable[[], bool], message: str, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, message
            self.turn()
            time.sleep(0.05)


@pytest.fixture
def world(edge: Edge, pebble: Pebble, db: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(loop, "LOOK", 0.05)
    monkeypatch.setattr(rules, "TROUBLE_PAUSES", (timedelta(seconds=0.2),))
    monkeypatch.setattr(rules, "REFRESH_PAUSE", timedelta())
    return World(edge, pebble, db)


def serial(world: World, host: str) -> int:
    """Of the certificate that HAProxy shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", world.edge.settings.https_port)) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
        assert der
        return x509.load_der_x509_certificate(der).serial_number


def own_serial(world: World) -> int:
    return serial(world, "nobody.invalid")


def test_wrong_dns_is_told_then_mended_then_renewed(world: World, pebble: Pebble) -> None:
    domain = world.domain("www.example.org")
    world.until(lambda: world.status(domain)[0] == "failing", "no failure is told")
    assert "www.example.org" in (world.status(domain)[1] or "")
    [line] = [line.text for _, line in world.logs.recent(world.app.id, 9) if line.dyno == "acm"]
    assert line.startswith("No certificate for www.example.org: www.example.org: ")
    assert serial(world, "www.example.org") == own_serial(world)

    pebble.point("www.example.org")
    acme.refresh(world.db, world.app)
    world.until(lambda: world.status(domain) == ("cert issued", None), "no certificate")
    world.turn()
    first = serial(world, "www.example.org")
    assert first != own_serial(world)
    assert acme.answers(world.db) == {}

    with world.db.write() as session:
        for order in session.query(acme.AcmeOrder):
            assert 0.6 < (order.due_at - acme.utcnow()) / timedelta(days=365 * 5) < 0.7
            order.due_at = acme.utcnow()
    world.until(lambda: serial(world, "www.example.org") != first, "not renewed")

    world.app = acme.switch(world.db, world.settings, world.app, on=False)
    world.turn()
    assert serial(world, "www.example.org") == own_serial(world)
    assert acme.due(world.db, 9) == []


def test_daemons_that_die_after_every_step(world: World, pebble: Pebble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each daemon makes a few calls more than the one before, to database, authority and HAProxy, and is killed."""
    domain = world.domain("killed.example.org")
    pebble.point("killed.example.org")
    left = 0

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    call, thread = Platform.call, asyncio.to_thread

    async def counted(self: Platform, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = await call(self, function, *args, **kwargs)
        count()  # what it did is done, and nobody heard of it
        return result

    async def counted_thread(function: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = await thread(function, *args, **kwargs)
        if "pogo.router.acme" in getattr(function, "__module__", ""):
            count()
        return result

    deaths = 0
    with monkeypatch.context() as patched:
        patched.setattr(Platform, "call", counted)
        patched.setattr(asyncio, "to_thread", counted_thread)
        for lives in range(1, 60):
            left = lives
            world.daemon()
            try:
                asyncio.run(world.acme.turn())
            except Killed:
                deaths += 1
            if certificates.served(world.db, world.settings):
                break
            time.sleep(0.06)
    assert deaths > 5
    left = 0
    world.daemon()
    world.until(lambda: world.status(domain) == ("cert issued", None), "no certificate")
    world.turn()
    assert serial(world, "killed.example.org") != own_serial(world)


def test_an_authority_that_is_down_and_forgets_everything(world: World, pebble: Pebble) -> None:
    domain = world.domain("down.example.org")
    pebble.point("down.example.org")
    world.turn()  # the account is there
    pebble.kill("pebble")
    world.daemon()
    try:
        with world.db.write() as session:
            for order in session.query(acme.AcmeOrder):
                order.due_at = acme.utcnow()
        world.until(lambda: "does not answer" in str(world.status(domain)[1]), "no trouble is told")
        assert world.status(domain)[0] in ("pending", "verified")
    finally:
        pebble.start_authority()
    world.until(lambda: world.status(domain) == ("cert issued", None), "no certificate after the authority came back")


def test_what_the_authority_refuses_is_told(world: World) -> None:
    domain = world.domain("no_such_name.example.org")
    world.until(lambda: world.status(domain)[0] == "failing", "no failure is told")
    assert "The authority refuses" in (world.status(domain)[1] or "")


def test_a_wildcard_for_the_platform_through_dns(world: World, pebble: Pebble) -> None:
    wild = world.domain("*.shop.example.org")
    world.until(lambda: world.status(wild)[0] == "failing", "no failure is told")
    assert "only be proven through DNS" in (world.status(wild)[1] or "")

    (pebble.directory / "hook.log.broken").touch()
    world.settings.acme_dns_hook = str(pebble.hook)
    world.settings.domain = DOMAIN
    acme.refresh(world.db, world.app)
    world.until(lambda: "no such zone" in str(world.status(wild)[1]), "the hook's failure is not told")
    (pebble.directory / "hook.log.broken").unlink()

    told: list[str] = []
    world.acme.certificates.shown = lambda chain, key: told.append(chain)
    with world.db.write() as session:
        for order in session.query(acme.AcmeOrder):
            order.due_at = acme.utcnow()
    world.until(lambda: world.status(wild) == ("cert issued", None) and bool(told), "no wildcard")
    world.turn()
    own = own_serial(world)
    assert serial(world, "x.shop.example.org") != own
    assert serial(world, f"any.{DOMAIN}") == serial(world, f"api.{DOMAIN}") != own
    assert handshake(world.edge.settings.https_port, f"any.{DOMAIN}", ["h2"])[1] == "h2"
    calls = pebble.calls.read_text().split("\n")
    assert {"set _acme-challenge.shop.example.org", "delete _acme-challenge.shop.example.org"} <= set(calls)
    assert calls.count(f"set _acme-challenge.{DOMAIN}") >= 2
