"""Where builds may go: patterns, addresses, and the operator's own proxy."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest

from pogo.mirror.reach import BadProxy, Reach, Refused, Unreachable, Upstream


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


@pytest.mark.parametrize(
    ("allow", "host", "port", "allowed"),
    [
        ("*", "pypi.org", 443, True),
        ("*", "anything", 8080, True),
        ("*:443", "pypi.org", 443, True),
        ("*:443", "pypi.org", 22, False),
        ("pypi.org, *.pythonhosted.org", "files.pythonhosted.org", 443, True),
        ("pypi.org,*.pythonhosted.org", "pythonhosted.org", 443, False),
        ("pypi.org", "evilpypi.org", 443, False),
        ("pypi.org:443", "pypi.org", 80, False),
        ("PyPI.org", "pypi.org", 443, True),
        ("", "pypi.org", 443, False),
    ],
)
def test_patterns_decide_by_name_and_port(allow: str, host: str, port: int, allowed: bool) -> None:
    reach = Reach.of(allow, {})
    if allowed:
        reach.check_name(host, port)
    else:
        with pytest.raises(Refused, match="POGO_MIRROR_ALLOW"):
            reach.check_name(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "169.254.1.1", "224.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1"),
    ],
)
def test_some_addresses_are_never_reached_not_even_by_name(text: str) -> None:
    reach = Reach.of("registry.example", {"PIP_INDEX_URL": "http://registry.example/simple"})
    for port in (80, 443):
        with pytest.raises(Refused, match="never"):
            reach.check_address("registry.example", port, address(text))


@pytest.mark.parametrize(
    "text", ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::5", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
)
def test_private_addresses_are_for_what_the_operator_names(text: str) -> None:
    with pytest.raises(Refused, match="private"):
        Reach.of("*", {}).check_address("inside.example", 443, address(text))
    Reach.of("*,inside.example", {}).check_address("inside.example", 443, address(text))
    Reach.of("*,inside.example:8081", {}).check_address("inside.example", 8081, address(text))
    with pytest.raises(Refused):
        Reach.of("*,inside.example:8081", {}).check_address("inside.example", 22, address(text))
    named = Reach.of("*", {"PIP_INDEX_URL": "https://user:word@inside.example/simple http://other.example:81"})
    named.check_address("inside.example", 443, address(text))
    named.check_address("other.example", 81, address(text))
    with pytest.raises(Refused):
        named.check_address("inside.example", 80, address(text))


def test_a_pattern_with_a_star_names_nobody() -> None:
    with pytest.raises(Refused, match="private"):
        Reach.of("*.example", {}).check_address("inside.example", 443, address("10.0.0.1"))


@pytest.mark.parametrize("text", ["203.0.113.80", "8.8.8.8", "198.51.100.7", "2001:db8::1", "2002:808:808::1"])
def test_other_addresses_are_reached(text: str) -> None:
    Reach.of("*", {}).check_address("outside.example", 443, address(text))


def test_this_machine_is_refused_under_any_address_of_its_own() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            pytest.skip("no network")
        own = probe.getsockname()[0]
    with pytest.raises(Refused):
        Reach.of("*", {}).check_address("me.example", 443, address(own))


def test_every_address_of_a_name_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a name with a public and a private address would lead inside every other time."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        async def both(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            return [(2, 1, 6, "", (one, port)) for one in ("203.0.113.80", "10.0.0.1")]

        monkeypatch.setattr(loop, "getaddrinfo", both)
        with pytest.raises(Refused, match="private"):
            await Reach.of("*", {}).connect("two.example", 443)

    asyncio.run(scenario())


def test_the_operators_proxy_is_taken_from_the_build_environment() -> None:
    reach = Reach.of("*", {"https_proxy": "http://me:p%40ss@proxy.example:3128", "NO_PROXY": "inside.example,.corp"})
    assert reach.https == Upstream("proxy.example", 3128, "me:p@ss")
    assert reach.http is None
    assert reach.upstream("pypi.org", tls=True) == reach.https
    assert reach.upstream("pypi.org", tls=False) is None
    assert reach.upstream("inside.example", tls=True) is None
    assert reach.upstream("a.inside.example", tls=True) is None
    assert reach.upstream("b.corp", tls=True) is None
    assert reach.upstream("bcorp", tls=True) == reach.https
    assert Reach.of("*", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}).upstream("x", tls=True) is None


@pytest.mark.parametrize("text", ["https://proxy.example:443", "socks5://p:1", "http://[", "http://p:many"])
def test_a_proxy_that_cannot_be_used_is_told(text: str) -> None:
    with pytest.raises(BadProxy, match="http://host:port"):
        Reach.of("*", {"HTTPS_PROXY": text})


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "127.1", "2130706433", "0x7f.1", "169.254.169.254", "::1"]
)
def test_through_the_operators_proxy_addresses_are_judged_as_far_as_they_are_seen(host: str) -> None:
    reach = Reach.of("*", {"HTTPS_PROXY": "http://proxy.example:3128", "HTTP_PROXY": "http://proxy.example:3128"})

    async def scenario() -> None:
        with pytest.raises(Refused):
            await reach.connect(host, 443)
        with pytest.raises(Refused):
            await reach.connect_plain(host, 80)

    asyncio.run(scenario())


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(Unreachable, match=r"nowhere\.invalid cannot be resolved"):
        asyncio.run(Reach.of("*", {}).connect("nowhere.invalid", 443))
