"""A slow or bad line to the gateway of Ceph."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ceph import Ceph


class Line:
    """Each piece that comes back waits, and may be changed."""

    def __init__(self, port: int) -> None:
        self.port, self.delay, self.change = port, 0.0, lambda data: data
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, True), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        try:
            while data := source.recv(1 << 18):
                if back:
                    time.sleep(self.delay)
                    data = self.change(data)
                target.sendall(data)
        except OSError:
            pass  # the other half was closed
        finally:
            for end in (source, target):
                end.close()


@contextmanager
def line_to(ceph: Ceph) -> Iterator[Line]:
    line = Line(int(ceph.endpoint.rpartition(":")[2]))
    try:
        yield line
    finally:
        line.server.close()
