"""Whether the ports of an installation are free, and who has them if not."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pogo.errors import PogoError
from pogo.install import processes
from pogo.rules.addresses import GATEWAY
from pogo.settings import SSH_PORT, Settings

LISTEN = "0A"
IP_FREEBIND = 15


class PortInUse(PogoError):
    """A port of the installation is in use."""


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket of this machine; inode tells which process holds it."""

    address: str
    port: int
    inode: str


def listeners(proc: Path = Path("/proc/net")) -> Iterator[Listener]:
    for table in ("tcp", "tcp6"):
        file = proc / table
        if not file.exists():
            continue
        for row in file.read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == LISTEN:
                address, _, port = fields[1].partition(":")
                yield Listener(_address(address), int(port, 16), fields[9])


def _address(text: str) -> str:
    """The kernel writes addresses as 32-bit words in the machine's byte order."""
    words = (bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    return str(ipaddress.ip_address(b"".join(words)))


def mirror_listens(settings: Settings) -> bool:
    """Whether the proxy of builds does. Connecting would not tell: its address comes with the first container."""
    wanted = (GATEWAY, settings.mirror_port)
    return any((found.address, found.port) == wanted for found in listeners())


def holder(inode: str) -> int | None:
    """The process that holds a socket."""
    for pid in processes.pids():
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    if os.readlink(entry.path) == f"socket:[{inode}]":
                        return pid
    return None


def check(settings: Settings, ours: set[int]) -> None:
    """Raises PortInUse, naming the port, who has it and what to change. ours: the platform's own processes."""
    wanted = {
        "POGO_HTTP_PORT": settings.http_port,
        "POGO_HTTPS_PORT": settings.https_port,
        "POGO_RENDEZVOUS_PORT": settings.rendezvous_port,
    }
    if settings.mirror != "off":
        wanted["POGO_MIRROR_PORT"] = settings.mirror_port
    for name, port in wanted.items():
        twin = next((other for other, number in wanted.items() if number == port and other != name), None)
        if twin:
            raise PortInUse(f"{name} and {twin} are both {port}. Each needs a port of its own.")
        address = GATEWAY if name == "POGO_MIRROR_PORT" else settings.bind
        if who := _holder(address, port, ours):
            raise PortInUse(
                f"Port {port} on {address} is in use by {who}.\n"
                f"Stop it, or choose another port, which is then remembered: {name}={_suggest(port, wanted)} bin/up"
            )
    _check_ssh(settings, ours, SSH_PORT in wanted.values())


def _check_ssh(settings: Settings, ours: set[int], ours_too: bool) -> None:
    """ours_too: whether one of the other ports has the same number."""
    address = settings.ssh_host
    if not address:
        return
    who = _holder(address, SSH_PORT, ours)
    if not who and ours_too and settings.bind in (address, "0.0.0.0", "::"):  # noqa: S104
        who = f"the platform itself, which listens on POGO_BIND={settings.bind}"
    if who:
        raise PortInUse(
            f"Port {SSH_PORT} on {address}, for ps:exec of the official client, is in use by {who}.\n"
            "Choose an address without it, which is then remembered, or none: POGO_SSH_ADDRESS=off bin/up"
        )


def _holder(address: str, port: int, ours: set[int]) -> str:
    """Who has the port, if it is somebody else; empty where it is free."""
    if _free(address, port):
        return ""
    pid = next((holder(found.inode) for found in listeners() if _meets(found, address, port)), None)
    if pid and processes.descends(pid, ours):
        return ""
    return f"{' '.join(processes.command(pid))[:80]} (process {pid})" if pid else "a program that cannot be named"


def _free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == GATEWAY:
            probe.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)  # the address comes with the first container
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno in (98, 13):
                return False
            raise PortInUse(
                f"Cannot listen on {address}, port {port} (POGO_BIND or POGO_SSH_ADDRESS): {error.strerror}."
            ) from error
    return True


def _meets(found: Listener, address: str, port: int) -> bool:
    return found.port == port and (
        found.address == address or {found.address, address} & {"0.0.0.0", "::"} != set()  # noqa: S104
    )


def _suggest(port: int, wanted: dict[str, int]) -> int:
    taken = {found.port for found in listeners()} | set(wanted.values())
    return next(number for number in range(port + 8000 if port < 1024 else port + 1, 65536) if number not in taken)
