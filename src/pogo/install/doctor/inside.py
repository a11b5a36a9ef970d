"""Whether names are found from where dynos are: asked through a link of its own, by the rules that dynos have.

The link has an address that no container gets: the subnet's last one.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import time
from collections.abc import Iterator

from pogo.agent import network, syscalls
from pogo.agent.installation import Installation
from pogo.install.doctor.check import Check, failed, ok

AREA = "Network of dynos"
_DNS_SECONDS = 3.0


def checks(installation: Installation) -> Iterator[Check]:
    """For an installation that runs: its agent has made the rules. In vain where nobody answers this machine either."""
    number = installation.subnet.num_addresses - 1
    interface = installation.interface(number)
    netns = network.connect_container(interface, installation.address(number))
    try:
        for server in network.nameservers():
            with _socket(netns) as asking:
                took = asked(server, asking)
            if took is None:
                advice = (
                    f"A dyno's question has to leave this machine: is another firewall in its way (nft list ruleset), "
                    f"and does {server} answer this machine?"
                )
                yield failed(AREA, "names", f"{server} does not answer a dyno", advice)
            else:
                yield ok(AREA, "names", f"{server} answers a dyno, in {took * 1000:.0f} ms")
    finally:
        os.close(netns)
        network.Rtnetlink().delete(interface)


def _socket(netns: int) -> socket.socket:
    """A socket in that network; this thread is in its own again afterwards."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        syscalls.setns(netns, syscalls.CLONE_NEWNET)
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)


def asked(server: str, asking: socket.socket) -> float | None:
    """Seconds until the resolver answered, whatever it said; None where it did not."""
    number = secrets.randbits(16)
    query = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + b"\x06debian\x03org\0" + struct.pack(">HH", 1, 1)
    began = time.monotonic()
    asking.settimeout(_DNS_SECONDS)
    try:
        asking.connect((server, 53))
        asking.send(query)
        while asking.recv(4096)[:2] != query[:2]:
            continue
    except OSError:
        return None
    return time.monotonic() - began
