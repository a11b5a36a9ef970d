"""TCP ports for the programs that a test starts."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 10_000


def free_ports(count: int) -> list[int]:
    """Of 127.0.0.1, now free, all different.

    Below those that the kernel gives to clients: one of these may be taken by any connection of another test
    until the program listens.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(LOWEST, int(RANGE.read_text().split()[0])), 1000):
        if len(found) == count:
            return found
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    raise RuntimeError(f"There are no {count} free ports.")


def free_port() -> int:
    return free_ports(1)[0]
