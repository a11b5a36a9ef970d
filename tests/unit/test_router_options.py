from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pogo.router import PLAIN, Backend, Options, Routes, Server
from pogo.router.config import Files
from pogo.router.options import address_keys, digest, line, ranges
from pogo.router.plan import Real, plan
from pogo.rules.names import check_hostname, claims_refuse
from pogo.rules.router_settings import RouterSettings, change, options, page, stored

PREFIXES = st.one_of(
    st.ip_addresses(v=4).flatmap(
        lambda a: st.integers(0, 32).map(lambda n: ipaddress.ip_network((a, n), strict=False))
    ),
    st.ip_addresses(v=6).flatmap(
        lambda a: st.integers(0, 112).map(lambda n: ipaddress.ip_network((a, n), strict=False))
    ),
)


def client_key(slot: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    """What the rules of the template make of a client's address."""
    if address.version == 4:
        return ipaddress.IPv6Address((int(f"{slot:04d}", 16) << 112) | (0xFFFE << 96) | int(address))
    groups = re.sub("(....)", r":\1", f"{int(address):032x}"[:28])
    return ipaddress.IPv6Address(f"{slot:04d}{groups}")


@given(st.integers(1, 4000), st.integers(1, 4000), PREFIXES, st.ip_addresses())
def test_a_range_holds_the_clients_of_its_app_alone(
    slot: int,
    other: int,
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    stranger: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    keys = [ipaddress.ip_network(key) for key in address_keys(slot, str(network))]

    def held(number: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(client_key(number, address) in key for key in keys)

    for address in (network[0], network[-1], stranger):
        if not (address.version == 6 and address.is_multicast):  # no client has such an address
            assert held(slot, address) == (address in network)
            assert other == slot or not held(other, address)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_line_is_one_word_of_a_command(error: str, maintenance: str) -> None:
    text = line(Options(error_page=error, maintenance_page=maintenance, password=digest("ann", "b c")))
    assert re.fullmatch(r"[!-:=-~]*", text)
    assert text.count("|") == 10


def test_an_app_without_options_has_no_line() -> None:
    assert line(PLAIN) == line(options(RouterSettings())) == ""
    assert not list(ranges(Backend(1)))


def test_what_protects_an_app_stands_before_a_host_leads_to_it() -> None:
    files = Files(Path("h"), Path("l"), Path("m"))
    backend = Backend(1, (Server("a", "10.0.0.1", 5000),), options=Options(deny=("10.0.0.0/8",), in_flight=7))
    commands = plan(Real(), Routes({"shop.localhost": 1}, {1: backend}), files)
    order = [next(i for i, text in enumerate(commands) if word in text) for word in ("addresses", "options", "hosts")]
    assert order == sorted(order)
    limited = [text for text in commands if text.endswith(" maxconn 7")]
    assert [text[:37] for text in limited] == ["add server app0001/a 10.0.0.1:5000 po"]
    assert any(text.startswith("add server app0001-ws/a ") and text.endswith(" maxconn 0") for text in commands)


def test_settings_are_kept_and_come_back() -> None:
    changes = {"allow": ["10.1.2.3", "10.1.2.3/32"], "hsts": 5, "basic_auth": "ann:secret", "idle_timeout": 55}
    changed = change(RouterSettings(), changes)
    kept = changed.kept()
    assert (kept["allow"], kept["hsts"], "idle_timeout" in kept) == (("10.1.2.3/32",), 5, False)
    assert "secret" not in str(kept)
    assert stored({**kept, "allow": list(kept["allow"]), "of_a_later_version": 1}) == changed
    salt, hashed = options(changed).password.split(":")
    assert digest("ann", "secret", salt) == f"{salt}:{hashed}"
    assert change(changed, dict.fromkeys(changes)) == RouterSettings()


def test_pages() -> None:
    for url, good in (
        ("https://example.com/e.html", True),
        (" http://example.com ", True),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("http://[", False),
        ("https://example.com/\n", True),
        ("https://example.com/\n;x", False),
    ):
        assert page({"ERROR_PAGE_URL": url}, "ERROR_PAGE_URL") == (url.strip() if good else ""), url
    assert page({}, "ERROR_PAGE_URL") == ""


LABELS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "example"]))
NAMES = st.tuples(st.sampled_from(["", "*."]), LABELS).map("".join)


@given(NAMES, NAMES)
def test_claims_are_mutual(one: str, other: str) -> None:
    assert claims_refuse(one, other) == claims_refuse(other, one)
    assert claims_refuse(one, one)


def test_hostnames() -> None:
    assert check_hostname(" *.BÜCHER.example. ", "localhost") == "*.xn--bcher-kva.example"
    assert claims_refuse("www.example.com", "*.example.com")
    assert not claims_refuse("example.com", "*.example.com")
    assert not claims_refuse("notexample.com", "*.example.com")
