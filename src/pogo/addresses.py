"""Where this machine may be sent to by users: to public servers, not into its own network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from pogo.errors import InvalidParams


async def resolve(host: str, port: int, *, private: bool) -> str:
    """An address of the host. private: it may be one that only this machine or its network can reach.

    Connect to what this returns and to nothing else: the name may lead elsewhere the next time.
    Raises InvalidParams for a host that is not found, or that leads into the network of this machine.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failure:
        raise InvalidParams(f"The server {host} is not found ({failure}).") from failure
    addresses = [str(address[0]) for *_, address in found]
    if not private and not all(ipaddress.ip_address(one.partition("%")[0]).is_global for one in addresses):
        raise InvalidParams(f"{host} is not a public server.")
    return addresses[0]
