"""Options of apps as HAProxy's maps keep them: a line an app, ranges of addresses, the dynos of affinity cookies."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Iterator
from urllib.parse import quote

from pogo.router import PLAIN, Backend, Options

# The fields of an app's line in the map of options, in order; `haproxy.cfg.template` takes them apart.
SEPARATOR = "|"
# Last 16 bits of an IPv6 address make room for the app's number: 112 bits of it can be told apart.
LONGEST_IPV6_PREFIX = 112
_IPV4_IN_IPV6 = 96
_IPV4 = ipaddress.IPv6Network("fffe::/16")
_URL_SAFE = "/:?#[]@!$&()*+,=%~-._"


def digest(user: str, password: str, salt: str = "") -> str:
    """`<salt>:<SHA-256 in upper-case hex>`, which HAProxy compares without Lua. A new salt if none is given.

    SHA-256 is quick to try: what is made here is kept encrypted, and HAProxy's memory is root's.
    """
    salt = salt or secrets.token_hex(16)
    return f"{salt}:{hashlib.sha256(f'{salt}:{user}:{password}'.encode()).hexdigest().upper()}"


def line(options: Options) -> str:
    """One value of the map of options, without blanks or semicolons; "" for an app that has none of its own."""
    if options == PLAIN:
        return ""
    salt, _, password = options.password.partition(":")
    fields = (
        options.first_byte * 1000,
        options.idle * 1000,
        options.websocket * 1000,
        options.queue,
        options.rate,
        options.hsts,
        _flags(options),
        salt,
        password,
        _url(options.error_page),
        _url(options.maintenance_page),
    )
    return SEPARATOR.join(str(field) for field in fields)


def _flags(options: Options) -> str:
    """One letter for each that is on: the template looks for them."""
    flags = {
        "s": options.https_only,
        "a": options.affinity,
        "r": options.retry_idempotent,
        "i": options.allow or options.deny,
        "o": options.allow,
        "p": options.password,
    }
    return "-" + "".join(letter for letter, on in flags.items() if on)


def _url(url: str) -> str:
    """Fit for a command of the runtime socket and for an attribute in HTML."""
    return quote(url, safe=_URL_SAFE)


def ranges(backend: Backend) -> Iterator[tuple[str, str]]:
    """Entries of the map of addresses: range → `allow` or `deny`. A range in both is denied."""
    verdicts = dict.fromkeys(backend.options.allow, "allow") | dict.fromkeys(backend.options.deny, "deny")
    for text, verdict in verdicts.items():
        for key in address_keys(backend.slot, text):
            yield key, verdict


def address_keys(slot: int, text: str) -> list[str]:
    """A range of one app's clients as ranges of IPv6 addresses, so that one tree finds the narrowest for all apps.

    IPv4: `<slot>:fffe::a.b.c.d`. IPv6: `<slot>:<first 112 bits>`; a wide one leaves out fffe::/16, where the IPv4
    clients are and no IPv6 client is (multicast).
    """
    network = ipaddress.ip_network(text)
    number = int(f"{slot:04d}", 16)
    if isinstance(network, ipaddress.IPv4Network):
        value = (number << 112) | (0xFFFE << 96) | int(network.network_address)
        return [f"{ipaddress.IPv6Address(value)}/{_IPV4_IN_IPV6 + network.prefixlen}"]
    parts = network.address_exclude(_IPV4) if _IPV4.subnet_of(network) else [network]
    keys = []
    for part in parts:
        address = ipaddress.IPv6Address((number << 112) | (int(part.network_address) >> 16))
        keys.append(f"{address}/{min(part.prefixlen, LONGEST_IPV6_PREFIX) + 16}")
    return keys


def cookie(server: str) -> str:
    """What the affinity cookie says for a dyno: it tells nothing about the platform."""
    return hashlib.sha1(server.encode(), usedforsecurity=False).hexdigest().upper()
