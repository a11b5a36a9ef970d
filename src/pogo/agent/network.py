"""The network of containers: one routed veth each, one nftables table per installation. No bridge.

rtnetlink is written by hand: nine `ip` commands cost 49 ms, these messages 2 ms.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
from ipaddress import IPv4Network
from pathlib import Path

from pogo.agent import syscalls
from pogo.agent.installation import Installation
from pogo.errors import CommandFailed
from pogo.rules.addresses import GATEWAY

_REQUEST, _ACK, _CREATE, _REPLACE, _EXCLUSIVE = 1, 4, 0x400, 0x100, 0x200
_ERROR, _NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, DELETE_ROUTE = 2, 16, 17, 20, 24, 25
_IFF_UP = 1
_MOST_CONNECTIONS = 4096  # of one dyno at a time: the machine has one table for all, often of 262,144
_LAST_RESORT = 0x7FFF_FFFF  # metric: any other route to the same addresses comes first


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _name(text: str) -> bytes:
    return _attribute(3, text.encode() + b"\0")


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BBHiII", 0, 0, 0, index, flags, change)


class Rtnetlink:
    """Requests to the kernel's network configuration, in the namespace in which the object was made."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.sequence = 0

    def ask(self, what: str, kind: int, body: bytes, flags: int = 0) -> None:
        self.sequence += 1
        header = struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, self.sequence, 0)
        self.socket.send(header + body)
        reply = self.socket.recv(65536)
        number = -struct.unpack_from("=i", reply, 16)[0]
        if struct.unpack_from("=H", reply, 4)[0] != _ERROR or number:
            raise OSError(number, f"cannot {what}: {os.strerror(number)}")

    def veth(self, name: str, netns: int) -> None:
        """A link whose one end is `name` here and whose other end is `eth0` in the namespace `netns`."""
        peer = _attribute(1, _link() + _name("eth0") + _attribute(28, struct.pack("=I", netns)))
        info = _attribute(18, _attribute(1, b"veth\0") + _attribute(2, peer))
        self.ask(f"make the link {name}", _NEWLINK, _link() + _name(name) + info, _CREATE | _EXCLUSIVE)

    def up(self, index: int) -> None:
        self.ask("set a link up", _NEWLINK, _link(index, _IFF_UP, _IFF_UP))

    def delete(self, name: str) -> None:
        self.ask(f"delete the link {name}", _DELLINK, _link() + _name(name))

    def address(self, index: int, address: str) -> None:
        packed = socket.inet_aton(address)
        body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, index) + _attribute(2, packed) + _attribute(1, packed)
        self.ask(f"add the address {address}", _NEWADDR, body, _CREATE | _EXCLUSIVE)

    def route(self, index: int, to: str = "", via: str = "") -> None:
        scope = 0 if via else 253
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32 if to else 0, 0, 0, 254, 4, scope, 1, 0)
        body += _attribute(1, socket.inet_aton(to)) if to else b""
        body += _attribute(5, socket.inet_aton(via)) if via else b""
        # quickack: a server that sends head and body of an answer apart waits 40 ms for a delayed acknowledgement.
        body += _attribute(8, _attribute(15, struct.pack("=I", 1))) if to else b""
        self.ask(
            f"add a route to {to or 'anywhere'}", _NEWROUTE, body + _attribute(4, struct.pack("=i", index)), _CREATE
        )

    def unreachable(self, subnet: IPv4Network, kind: int, flags: int = 0) -> None:
        """Adds (kind _NEWROUTE) or removes (DELETE_ROUTE) the route that ends all packets to the subnet here."""
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, subnet.prefixlen, 0, 0, 254, 4, 0, 7, 0)
        body += _attribute(1, subnet.network_address.packed) + _attribute(6, struct.pack("=I", _LAST_RESORT))
        self.ask(f"change the route to {subnet}", kind, body, flags)


def connect_container(interface: str, address: str) -> int:
    """A new network namespace with `address`, linked to this one; its descriptor. The calling thread stays where it is.

    The link lives as long as the namespace: it goes with the container's last process.
    """
    host = Rtnetlink()
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        netns = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = Rtnetlink()
        host.veth(interface, netns)
        index = socket.if_nametoindex("eth0")
        inside.up(socket.if_nametoindex("lo"))
        inside.address(index, address)
        inside.up(index)
        inside.route(index, to=GATEWAY)
        inside.route(index, via=GATEWAY)
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)
    index = socket.if_nametoindex(interface)
    host.address(index, GATEWAY)
    host.up(index)
    host.route(index, to=address)
    return netns


def nameservers() -> list[str]:
    """The IPv4 resolvers that a container can reach: the host's, but not a stub on its loopback."""
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        try:
            text = Path(path).read_text()
        except OSError:
            continue
        found = re.findall(r"^\s*nameserver\s+(\d+\.\d+\.\d+\.\d+)\s*$", text, re.MULTILINE)
        usable = [address for address in found if not address.startswith("127.")]
        if usable:
            return usable
    return []


def ruleset(installation: Installation, resolvers: list[str]) -> str:
    """The nftables table: dynos reach the outside and the resolvers, not each other, this host or private ranges.

    What is new from outside does not reach them either; only this host (its router) opens connections.
    Builds reach the mirror as well, or, where the operator wants it, the mirror alone.
    """
    table = f"inet pogo_{installation.tag}"
    dyno = f'"{installation.interface(0)[:-1]}*"'
    servers = f"ip daddr {{ {', '.join(resolvers)} }}" if resolvers else "ip daddr 255.255.255.255"
    reserved = (
        "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 224.0.0.0/3"
    )
    builder = f'"{installation.interface(0, builder=True)[:-1]}*"'
    only = f"iifname {builder} jump private" if installation.mirror_only else ""
    mirror = f"ip daddr {GATEWAY} tcp dport {installation.mirror_port}" if installation.mirror_port else ""
    to_mirror = f"iifname {builder} {mirror} accept" if mirror else ""
    from_elsewhere = f'iifname != "lo" {mirror} jump private' if mirror else ""
    resolving = f"{servers} udp dport 53 accept\n    iifname {dyno} {servers} tcp dport 53 accept"
    return f"""table {table}
delete table {table}
table {table} {{
  chain source {{
    type filter hook prerouting priority raw; policy accept;
    iifname {dyno} meta nfproto != ipv4 drop
    iifname {dyno} fib saddr . iif oif missing drop
  }}
  chain private {{
    meta l4proto tcp reject with tcp reset
    reject with icmp admin-prohibited
  }}
  set connections {{ type ipv4_addr; flags dynamic; size 65535; }}
  chain count {{
    ct state new add @connections {{ ip saddr ct count over {_MOST_CONNECTIONS} }} jump private
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname {dyno} ct state established,related accept
    iifname {dyno} jump count
    {only}
    iifname {dyno} oifname {dyno} jump private
    iifname {dyno} {resolving}
    iifname {dyno} ip daddr {{ {reserved} }} jump private
    iifname {dyno} accept
    oifname {dyno} ct state established,related accept
    oifname {dyno} drop
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname {dyno} ct state established,related accept
    iifname {dyno} jump count
    {to_mirror}
    {only}
    iifname {dyno} {resolving}
    iifname {dyno} jump private
    {from_elsewhere}
  }}
  chain outside {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {installation.subnet} oifname != {dyno} masquerade
  }}
}}
"""


def apply_rules(installation: Installation, resolvers: list[str]) -> None:
    """Makes the table as it should be, in one transaction, and lets this host forward packets.

    Addresses that no container has lead nowhere: else packets to a dyno that is gone would leave by the
    default route, and something out there might answer in its place.
    """
    _nft(ruleset(installation, resolvers))
    Rtnetlink().unreachable(installation.subnet, _NEWROUTE, _CREATE | _REPLACE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def delete_table(installation: Installation) -> None:
    table = f"inet pogo_{installation.tag}"
    _nft(f"table {table}\ndelete table {table}\n")


def _nft(text: str) -> None:
    args = ["nft", "-f", "-"]
    done = subprocess.run(args, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(args, done.returncode, done.stderr)
