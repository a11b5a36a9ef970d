"""Who speaks to the agent and its monitors, and how: one line of JSON for a request, one for its answer."""

from __future__ import annotations

import json
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from pogo.agent.installation import Installation

Json = dict[str, Any]

_MAX_REQUEST = 8 << 20
_MAX_FDS = 40


class Connection:
    """A caller: its request so far, and the descriptors that came with it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = b""
        self.fds: list[int] = []
        self.watching = False

    def receive(self) -> Json | None:
        """The request, once its line is complete. Raises ConnectionError when the caller is gone, ValueError."""
        data, fds = receive_fds(self.socket, 256 << 10, _MAX_FDS)
        self.fds += fds
        self.received += data
        if not data or len(self.received) > _MAX_REQUEST or len(self.fds) > _MAX_FDS:
            raise ConnectionError
        if not self.received.endswith(b"\n"):
            return None
        return parse(self.received)

    def close(self) -> None:
        self.socket.close()
        for fd in self.fds:
            os.close(fd)


@dataclass(eq=False)
class Client:
    """A connection to a monitor: first a line with a request, then what its role says."""

    socket: socket.socket
    role: str = "asking"
    received: bytes = b""
    pending: bytearray = field(default_factory=bytearray)


def receive_fds(connection: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """As socket.recv_fds. What this process becomes, or starts, does not have them."""
    data, fds, _, _ = socket.recv_fds(connection, size, most)
    for fd in fds:
        os.set_inheritable(fd, False)
    return data, fds


def parse(line: bytes) -> Json:
    """A request. Raises ValueError where it is none, however it is nested."""
    try:
        request = json.loads(line)
    except RecursionError:
        raise ValueError("a request is nested too deeply") from None
    if not isinstance(request, dict):
        raise ValueError("a request has to be an object")
    return request


def is_allowed(connection: socket.socket, installation: Installation) -> bool:
    """Whether the peer is root or the installation's user, as the kernel says."""
    return peer_uid(connection) in (0, installation.uid)


def peer_uid(connection: socket.socket) -> int:
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("=iII"))
    _, uid, _ = struct.unpack("=iII", packed)
    return int(uid)


def answer(client: socket.socket, reply: Json) -> None:
    """The answer to a caller, who may be gone: that is its own business."""
    try:
        client.settimeout(5)
        client.sendall(json.dumps(reply).encode() + b"\n")
    except OSError:
        return


def send_once(client: socket.socket, data: bytes) -> None:
    """A few bytes that never block: to a peer that is gone, or that has not read the last ones, they are lost."""
    try:
        client.send(data, socket.MSG_DONTWAIT)
    except OSError:
        return


def announce_end(installation: Installation, id: str) -> None:
    """Tells the agent that a container has ended, for those who watch. Only a hint: it may not be there."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(1)
        try:
            agent.connect(str(installation.socket))
            agent.sendall(json.dumps({"op": "ended", "id": id}).encode() + b"\n")
        except OSError:
            return
