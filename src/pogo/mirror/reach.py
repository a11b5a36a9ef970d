"""Which hosts builds may reach, and the connections there. Addresses are judged after the name was resolved."""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pogo.errors import PogoError
from pogo.mirror import wire

CONNECT_SECONDS = 15.0
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# The same ranges that the rules of the containers' network refuse (agent/network.py), and their kin in IPv6.
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
_NEVER = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "fec0::/10", "ff00::/8")
PRIVATE = [ipaddress.ip_network(text) for text in _PRIVATE]
NEVER = [ipaddress.ip_network(text) for text in _NEVER]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotConnected(Exception):
    """There is no connection to the host; the text says why. status: what the client is told."""

    status = 502


class Refused(NotConnected):
    """The build may not go there."""

    status = 403


class Unreachable(NotConnected):
    """It may, but the host does not answer."""


class BadProxy(PogoError):
    """The proxy that build.env names cannot be used."""


@dataclass(frozen=True)
class Upstream:
    """The proxy through which this machine itself reaches the outside. credentials: `user:password` or ""."""

    host: str
    port: int
    credentials: str = ""

    @property
    def fields(self) -> list[tuple[str, str]]:
        if not self.credentials:
            return []
        return [("Proxy-Authorization", f"Basic {base64.b64encode(self.credentials.encode()).decode()}")]


@dataclass(frozen=True)
class Reach:
    """allow: patterns `host` or `host:port`, `*` for any part; first match counts.

    named: what the operator names himself, in the build environment or as a pattern without `*`: (host,
    port), 0 for any port. These may have private addresses. https, http: the proxies for the two schemes.
    direct: names and suffixes that do without (NO_PROXY).
    """

    allow: tuple[str, ...] = ("*",)
    named: frozenset[tuple[str, int]] = frozenset()
    https: Upstream | None = None
    http: Upstream | None = None
    direct: tuple[str, ...] = ()

    @staticmethod
    def of(allow: str, environment: Mapping[str, str]) -> Reach:
        """allow: POGO_MIRROR_ALLOW, separated by commas. environment: the operator's of all builds."""
        patterns = tuple(part.strip().lower() for part in allow.split(",") if part.strip())
        named = {_split(pattern) for pattern in patterns if "*" not in pattern and "?" not in pattern}
        proxies = {name.lower(): value for name, value in environment.items() if name.lower().endswith("_proxy")}
        for name, value in environment.items():
            if not name.lower().endswith("_proxy"):
                named |= set(_hosts_in(value))
        return Reach(
            allow=patterns,
            named=frozenset(named),
            https=_upstream(proxies.get("https_proxy", "")),
            http=_upstream(proxies.get("http_proxy", "")),
            direct=tuple(part.strip().lower() for part in proxies.get("no_proxy", "").split(",") if part.strip()),
        )

    def check_name(self, host: str, port: int) -> None:
        """Raises Refused where no pattern allows it, whatever address it has."""
        if self._is_named(host, port):
            return
        for pattern in self.allow:
            name, wanted = _split(pattern)
            if wanted in (0, port) and fnmatch.fnmatchcase(host, name):
                return
        raise Refused(f"{host}:{port} is not among the hosts that builds may reach (POGO_MIRROR_ALLOW).")

    def check_address(self, host: str, port: int, address: Address) -> None:
        """Raises Refused for addresses of this machine and its private neighbours."""
        plain = _embedded(address)
        if any(plain in network for network in NEVER if network.version == plain.version):
            raise Refused(f"{_with_address(host, address)} is of an address range that builds never reach.")
        if self._is_named(host, port):
            return
        if any(plain in network for network in PRIVATE if network.version == plain.version):
            raise Refused(f"{_with_address(host, address)} is private. The operator can name it in POGO_MIRROR_ALLOW.")
        if _is_own(plain):
            raise Refused(f"{_with_address(host, address)} is this machine, which builds do not reach.")

    def _is_named(self, host: str, port: int) -> bool:
        return (host, port) in self.named or (host, 0) in self.named

    def upstream(self, host: str, *, tls: bool) -> Upstream | None:
        """The proxy for this host. tls: whether a tunnel is wanted."""
        proxy = self.https if tls else self.http
        for name in self.direct:
            bare = name.removeprefix("*").lstrip(".")
            if name == "*" or host == bare or host.endswith(f".{bare}"):
                return None
        return proxy

    async def connect(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> Streams:
        """A connection to the host, through the machine's proxy if it has one. Raises Refused, Unreachable."""
        self.check_name(host, port)
        upstream = self.upstream(host, tls=True)
        try:
            async with asyncio.timeout(CONNECT_SECONDS * 2):
                if upstream:
                    self._check_unresolved(host, port)
                    streams = await _tunnel(upstream, host, port)
                else:
                    streams = await self._connect_directly(host, port)
                if tls:
                    await streams[1].start_tls(tls, server_hostname=host)
                return streams
        except TimeoutError:
            raise Unreachable(f"{host}:{port} did not answer in time.") from None
        except OSError as error:
            raise Unreachable(f"{host}:{port} cannot be reached: {error.strerror or error}.") from None

    async def connect_plain(self, host: str, port: int) -> tuple[Streams, Upstream | None]:
        """For a request in plain HTTP: (streams, the proxy that these lead to, or None)."""
        self.check_name(host, port)
        upstream = self.upstream(host, tls=False)
        if upstream is None:
            try:
                return await self._connect_directly(host, port), None
            except OSError as error:
                raise Unreachable(f"{host}:{port} cannot be reached: {error.strerror or error}.") from None
        self._check_unresolved(host, port)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await _open(upstream.host, upstream.port), upstream
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"The proxy {upstream.host}:{upstream.port} cannot be reached: {error}.") from None

    def _check_unresolved(self, host: str, port: int) -> None:
        """What can be said of a host whose name the next proxy resolves: it may be an address itself."""
        if host == "localhost" or host.endswith(".localhost"):
            raise Refused(f"{host} is this machine, which builds do not reach.")
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except OSError:
            return
        for row in found:
            self.check_address(host, port, ipaddress.ip_address(row[4][0]))

    async def _connect_directly(self, host: str, port: int) -> Streams:
        """Every address of the name has to be allowed; the connection goes to the address that was checked."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            raise Unreachable(f"The name {host} cannot be resolved.") from None
        addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]
        for address in addresses:
            self.check_address(host, port, address)
        failure: Exception = Unreachable(f"The name {host} has no address.")
        for address in sorted(dict.fromkeys(addresses), key=lambda one: one.version):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await _open(str(address), port)
            except TimeoutError:
                failure = Unreachable(f"{host}:{port} ({address}) did not answer within {CONNECT_SECONDS:.0f} s.")
            except OSError as error:
                failure = Unreachable(f"{host}:{port} ({address}) cannot be reached: {error.strerror or error}.")
        raise failure


async def _open(host: str, port: int) -> Streams:
    return await asyncio.open_connection(host, port, limit=wire.BUFFER)


async def _tunnel(upstream: Upstream, host: str, port: int) -> Streams:
    reader, writer = await _open(upstream.host, upstream.port)
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *(f"{name}: {value}" for name, value in upstream.fields)]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        answer = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode("latin-1")
    except asyncio.IncompleteReadError:
        answer = "nothing"
    if answer.split(" ")[1:2] != ["200"]:
        writer.close()
        raise Unreachable(f"This machine's proxy {upstream.host} refuses {target}: {answer}.")
    return reader, writer


def _split(pattern: str) -> tuple[str, int]:
    """`host:port` -> (host, port); port 0 where there is none."""
    host, _, port = pattern.rpartition(":")
    if host and port.isdigit() and ":" not in host.strip("[]").replace("::", ""):
        return host.strip("[]"), int(port)
    return pattern.strip("[]"), 0


def _hosts_in(value: str) -> Iterable[tuple[str, int]]:
    """The hosts of the URLs in a variable, which may hold several."""
    for word in value.replace(",", " ").split():
        with suppress(ValueError):  # what is no URL names no host
            url = urlsplit(word)
            if url.scheme in ("http", "https") and url.hostname:
                yield url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _upstream(text: str) -> Upstream | None:
    """Raises BadProxy: requests that the operator wants to go there must not go elsewhere."""
    if not text:
        return None
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        host, port = url.hostname, url.port or 80
    except ValueError:
        host = None
    if not host or url.scheme != "http":
        raise BadProxy(f"The proxy {text!r} of build.env is not of the form http://host:port.")
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}" if url.username else ""
    return Upstream(host, port, credentials)


def _with_address(host: str, address: Address) -> str:
    return host if host == str(address) else f"{host} ({address})"


def _embedded(address: Address) -> Address:
    """The IPv4 address within an IPv6 one that leads to it, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return inner or address
    return address


def _is_own(address: Address) -> bool:
    """Whether this machine has the address: packets to itself have it as their source too. Nothing is sent."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0]) == address
