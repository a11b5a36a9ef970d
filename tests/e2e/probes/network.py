"""Other dynos, this machine, its networks."""

from __future__ import annotations

import select
import socket
import struct
import time

from probes.probing import FACTS, probe, refusal, refusals

PATIENCE = 1.5


def _tcp(address: str, port: int, family: int = socket.AF_INET) -> str:
    """What a connection attempt came to."""
    with socket.socket(family) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect((address, port))
        except TimeoutError:
            return "no answer"
        except OSError:
            return "refused"
    return "open"


def _all(addresses: list[tuple[str, int]]) -> str:
    found = {address: _tcp(*address) for address in addresses}
    opened = [f"{host}:{port}" for (host, port), said in found.items() if said == "open"]
    return f"open: {', '.join(opened)}" if opened else ", ".join(sorted(set(found.values())))


@probe("refused")
def ports_of_the_machine() -> str:
    """Connect to a listener on all addresses of the machine, and to router, API and rendezvous, by each address."""
    addresses = [str(address) for address in FACTS["hosts"]]  # type: ignore[attr-defined]
    return _all([(address, int(port)) for address in addresses for port in FACTS["ports"]])  # type: ignore[attr-defined]


@probe("refused")
def loopback_of_the_machine() -> str:
    """Reach the same ports at 127.0.0.1, which is the dyno's own."""
    ports = [int(port) for port in FACTS["ports"]]  # type: ignore[attr-defined]
    return _all([("127.0.0.1", port) for port in ports])


@probe("refused")
def dynos_of_other_apps() -> str:
    """Connect to a web dyno of another app by its address."""
    return _all([(str(FACTS["neighbour"]), int(str(FACTS["neighbour_port"])))])


@probe("unreachable")
def dynos_by_datagrams() -> str:
    """Send a datagram to a dyno of another app; open a socket for pings."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE)
        sender.connect((str(FACTS["neighbour"]), 9))
        sender.send(b"x")
        said = refusal(lambda: sender.recv(10))
    ping = refusal(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP))
    return "unreachable" if (said, ping) == ("EHOSTUNREACH", "EACCES") else f"{said} {ping}"


@probe("refused")
def metadata_of_the_cloud() -> str:
    """169.254.169.254 and other link-local addresses."""
    return _all([("169.254.169.254", 80), ("169.254.170.2", 80), ("169.254.7.7", 80), ("169.254.1.1", 22)])


@probe("refused")
def private_networks() -> str:
    """10/8, 172.16/12, 192.168/16, 100.64/10."""
    return _all([("10.0.0.1", 80), ("172.16.0.1", 80), ("172.31.255.254", 22), ("192.168.1.1", 80), ("100.64.0.1", 80)])


@probe("refused")
def multicast_and_broadcast() -> str:
    """Datagrams to all hosts of a network."""

    def send(address: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.settimeout(PATIENCE)
            sender.connect((address, 5353))
            sender.send(b"x")
            sender.recv(10)

    said = [refusal(lambda: send("255.255.255.255")), refusal(lambda: send("224.0.0.251"))]
    return "refused" if not any(one.startswith("done") for one in said) else str(said)


@probe("no answer")
def version_6() -> str:
    """Reach the machine by IPv6: ask all nodes of the link for a name, and knock at its link-local addresses."""
    index = socket.if_nametoindex("eth0")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("ff02::1", 5353, 0, index))
        answered, _, _ = select.select([sender], [], [], PATIENCE / 3)
    found = "answered" if answered else "no answer"
    for address in ("fe80::1", "ff02::2"):
        with socket.socket(socket.AF_INET6) as connection:
            connection.settimeout(PATIENCE / 3)
            try:
                connection.connect((address, int(FACTS["ports"][0]), 0, index))  # type: ignore[index]
                found = f"open at {address}"
            except OSError:
                continue
    return found


@probe("none arrived")
def addresses_are_forged() -> str:
    """Send with the address of another dyno, of the machine, of anybody: IP_FREEBIND, IP_TRANSPARENT, IP_PKTINFO."""
    hosts = [str(host) for host in FACTS["hosts"]]  # type: ignore[attr-defined]
    listener = hosts[0], int(str(FACTS["udp"]))
    for address in (str(FACTS["neighbour"]), "8.8.8.8", *hosts):
        _forge(address, listener)
    return "none arrived"  # the test knows better where one did


def _forge(address: str, listener: tuple[str, int]) -> None:
    freebind, transparent, pktinfo = 15, 19, 8
    for option in (freebind, transparent):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            refusal(lambda option=option: sender.setsockopt(socket.IPPROTO_IP, option, 1))  # type: ignore[misc]
            refusal(lambda: sender.bind((address, 0)))
            refusal(lambda: sender.sendto(b"forged", listener))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        source = struct.pack("=I4s4s", 0, socket.inet_aton(address), bytes(4))
        refusal(lambda: sender.sendmsg([b"forged"], [(socket.IPPROTO_IP, pktinfo, source)], 0, listener))


@probe("EPERM")
def links_and_routes_are_changed() -> str:
    """rtnetlink: set eth0 down, add an address, a route, a neighbour."""

    def ask(kind: int, body: bytes) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            netlink.send(struct.pack("=IHHII", 16 + len(body), kind, 0x605, 1, 0) + body)
            number = -struct.unpack_from("=i", netlink.recv(4096), 16)[0]
            if number:
                raise OSError(number, "refused")

    link = struct.pack("=BBHiII", 0, 0, 0, 2, 0, 1)
    address = struct.pack("=BBBBI", 2, 32, 0, 0, 2) + struct.pack("=HH", 8, 2) + socket.inet_aton("10.9.9.9")
    route = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0)
    neighbour = struct.pack("=BBHiHBB", 2, 0, 0, 2, 0x80, 0, 0)
    return refusals(lambda: ask(16, link), lambda: ask(20, address), lambda: ask(24, route), lambda: ask(28, neighbour))


@probe("at once")
def refusals_are_quick() -> str:
    """How long a refused connection takes: one that is only dropped would hold an app up."""
    began = time.monotonic()
    _tcp("10.0.0.1", 80)
    _tcp(str(FACTS["neighbour"]), int(str(FACTS["neighbour_port"])))
    return "at once" if time.monotonic() - began < 1 else "slowly"


@probe("resolved")
def names_are_resolved() -> str:
    """What has to work: DNS, for a name that the machine itself resolves."""
    if not FACTS["name"]:
        return "resolved"
    return "resolved" if socket.getaddrinfo(str(FACTS["name"]), 443) else "not found"
