"""Certificates in a real HAProxy, at run time: which one a name gets, and that no connection notices a change."""

from __future__ import annotations

import random
import socket
import ssl
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from edge_installation import Edge, certificate, handshake, running_edge

from pogo.errors import InvalidParams, Unavailable
from pogo.router import Backend, Routes
from pogo.router.certificates import Served
from pogo.router.config import one_at_a_time
from pogo.router.haproxy_certificates import HaproxyCertificates


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_edge() as edge:
        yield edge


class Shop:
    """The certificates that the tests have, by id; names: what they are made for (their hosts, if not given)."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.port = edge.settings.https_port
        self.pems: dict[str, str] = {}
        self.loaded: list[str] = []
        self.router = HaproxyCertificates(edge.settings.router_socket, edge.paths, one_at_a_time(edge.settings))

    def show(self, wanted: Mapping[str, Sequence[str]], answers: Mapping[str, str] | None = None) -> int:
        """id → hosts. The common name of a certificate is its id."""
        for id in wanted.keys() - self.pems.keys():
            self.pems[id] = certificate(id).decode()

        async def load(id: str) -> str | None:
            self.loaded.append(id)
            return self.pems.get(id)

        served = [Served(id, tuple(hosts)) for id, hosts in wanted.items()]
        return self.edge.run(self.router.apply(served, answers or {}, load))

    def asked(self, *hosts: str) -> list[str]:
        return [handshake(self.port, host)[0] for host in hosts]


@pytest.fixture
def shop(edge: Edge) -> Iterator[Shop]:
    shop = Shop(edge)
    yield shop
    shop.show({})


def admin(edge: Edge, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(edge.settings.router_socket))
        connection.sendall(f"{command}\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def test_the_name_chooses_the_certificate(shop: Shop) -> None:
    shop.show({"www": ["www.example.com", "example.com"], "wild": ["*.example.com"], "deep": ["*.b.example.com"]})
    assert shop.asked("www.example.com", "example.com", "WWW.example.com") == ["www"] * 3
    assert shop.asked("other.example.com", "x.b.example.com", "b.example.com") == ["wild", "deep", "wild"]
    assert shop.asked("x.y.example.com", "nobody.org", "localhost") == ["localhost"] * 3
    assert handshake(shop.port, "www.example.com", ["h2", "http/1.1"])[1] == "h2"
    assert (
        shop.show({"www": ["www.example.com", "example.com"], "wild": ["*.example.com"], "deep": ["*.b.example.com"]})
        == 0
    )
    assert len(shop.loaded) == 3


def test_api_and_git_speak_http_1_whosever_certificate_they_have(shop: Shop) -> None:
    offers = ["h2", "http/1.1"]
    assert handshake(shop.port, "localhost", offers)[:2] == ("localhost", "http/1.1")
    shop.show({"ours": ["*.localhost", "localhost"]})
    assert handshake(shop.port, "localhost", offers)[:2] == ("ours", "http/1.1")
    assert handshake(shop.port, "shop.localhost", offers)[:2] == ("ours", "h2")
    shop.show({})
    assert handshake(shop.port, "localhost", offers)[:2] == ("localhost", "http/1.1")


def test_old_tls_is_refused(shop: Shop) -> None:
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises(OSError):
            handshake(shop.port, "localhost", version=version)
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        assert handshake(shop.port, "localhost", version=version)[2] == name


def test_replaced_and_removed_under_open_connections(edge: Edge, shop: Shop) -> None:
    server = edge.web().server
    edge.run(edge.router.apply(Routes({"a.example.com": 1}, {1: Backend(1, (server,))})))
    shop.show({"first": ["a.example.com"]})
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", shop.port)) as plain,
        context.wrap_socket(plain, server_hostname="a.example.com") as open_one,
    ):
        for change in ({"second": ["a.example.com"]}, {"second": ["a.example.com", "b.example.com"]}, {}):
            shop.show(change)
            open_one.sendall(b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
            answer = b""
            while server.name.encode() not in answer:
                part = open_one.recv(4096)
                assert part, answer
                answer += part
            assert shop.asked("a.example.com") == [next(iter(change), "localhost")]
    assert "pogo/" not in admin(edge, "show ssl cert")


def test_no_handshake_meets_a_gap_while_certificates_are_replaced(edge: Edge, shop: Shop) -> None:
    shop.show({"n0": ["a.example.com"]})
    seen: set[str] = set()
    for number in range(1, 9):
        served = [Served(f"n{number}", ("a.example.com",))]
        shop.pems[f"n{number}"] = certificate(f"n{number}").decode()

        async def load(id: str) -> str | None:
            return shop.pems[id]

        change = edge.later(shop.router.apply(served, {}, load))
        while not change.done():
            seen.update(shop.asked("a.example.com"))
        change.result()
        assert shop.asked("a.example.com") == [f"n{number}"]
    assert "localhost" not in seen


def test_answers_to_challenges_go_before_all_else(edge: Edge, shop: Shop) -> None:
    path = "/.well-known/acme-challenge/tok_en-1"
    server = edge.web().server
    edge.run(edge.router.apply(Routes({"a.example.com": 1}, {1: Backend(1, (server,), (), "H80")})))
    assert edge.get("a.example.com", path).status == 503
    assert shop.show({}, {path: "tok_en-1.thumb"}) == 1
    for host in ("a.example.com", "nobody.org"):
        answer = edge.get(host, path)
        assert (answer.status, answer.body) == (200, b"tok_en-1.thumb")
    # Challenges that are not ours are the app's own.
    edge.run(edge.router.apply(Routes({"a.example.com": 1}, {1: Backend(1, (server,))})))
    assert edge.get("a.example.com", path + "x").body == server.name.encode()
    shop.show({})
    assert edge.get("a.example.com", path).body == server.name.encode()


def test_what_a_killed_daemon_left_half_loaded(edge: Edge, shop: Shop) -> None:
    pem = certificate("half").decode()
    admin(edge, "new ssl cert pogo/half")
    admin(edge, f"set ssl cert pogo/half <<\n{pem.strip()}\n")
    admin(edge, "new ssl cert pogo/lost")
    shop.show({"other": ["o.example.com"], "half": ["h.example.com"]})
    assert shop.asked("o.example.com", "h.example.com") == ["other", "half"]
    assert "pogo/lost" not in admin(edge, "show ssl cert")


def test_one_that_haproxy_refuses_does_not_stop_the_others(shop: Shop) -> None:
    shop.pems["bad"] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(Unavailable, match="refused") as told:
        shop.show({"bad": ["bad.example.com"], "good": ["good.example.com"]})
    assert "AAAA" not in str(told.value)
    assert shop.asked("good.example.com") == ["good"]
    for hosts in (["a b"], ["*.*.com"], ["a\nshow env"], ["[x]"]):
        with pytest.raises(InvalidParams):
            shop.show({"good": hosts})


def test_the_state_equals_the_desired_one_after_random_changes(edge: Edge, shop: Shop) -> None:
    chance = random.Random(7)
    hosts = [f"{letter}.example.com" for letter in string.ascii_lowercase] + ["*.example.com", "localhost"]
    for _ in range(8):
        owners = {host: f"c{chance.randrange(6)}" for host in chance.sample(hosts, chance.randrange(len(hosts)))}
        wanted: dict[str, list[str]] = {}
        for host, id in owners.items():
            wanted.setdefault(id, []).append(host)
        shop.show(wanted)
        assert shop.show(wanted) == 0
        other = owners.get("*.example.com", "localhost")
        probes = chance.sample(hosts, 4)
        expected = [owners.get(host, "localhost" if host == "localhost" else other) for host in probes]
        assert shop.asked(*(host.replace("*", "zz") for host in probes)) == expected


def test_a_thousand_are_rebuilt_after_haproxy_was_killed(edge: Edge, shop: Shop, tmp_path: Path) -> None:
    wanted = {f"k{number}": [f"www{number}.example.net"] for number in range(1000)}
    shop.pems.update({f"k{number}": pem for number, pem in enumerate([certificate("many").decode()] * 1000)})
    before = _memory(edge)
    shop.show({"k7": ["www7.example.net"]})
    edge.kill_haproxy()
    edge.start_haproxy()
    assert shop.asked("www7.example.net") == ["localhost"]
    began = time.monotonic()
    shop.show(wanted)
    taken = time.monotonic() - began
    assert shop.asked("www0.example.net", "www999.example.net") == ["many"] * 2
    began = time.monotonic()
    assert shop.show(wanted) == 0
    print(
        f"1,000 certificates: {taken:.2f} s, compared in {time.monotonic() - began:.3f} s, "
        f"{(_memory(edge) - before) / 1000:.0f} KB each"
    )
    assert taken < 60


def _memory(edge: Edge) -> int:
    """KB that the worker holds."""
    pid = admin(edge, "show info").split("Pid: ")[1].split()[0]
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
