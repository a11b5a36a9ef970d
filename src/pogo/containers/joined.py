"""A process that was started in a running container (`exec`): our ends of its streams, and its exit status."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import struct
import termios
from collections.abc import Callable

_CHUNK = 64 << 10


class Joined:
    """The driver's `Execution`. Takes over the agent's connection and the two descriptors that it sent.

    said: what came with them. The agent's child at the other end tells how the process ended, and hangs it up
    when the connection closes: that is all that has to happen when this daemon dies.
    """

    def __init__(self, connection: socket.socket, fds: list[int], terminal: bool, said: bytes) -> None:
        self._connection = connection
        self._output, self._input = fds
        self._terminal = terminal
        self._ended = asyncio.Event()
        self._status: int | None = None
        self._watching = asyncio.create_task(self._watch(said))
        for fd in fds:
            os.set_blocking(fd, False)

    async def _watch(self, said: bytes) -> None:
        try:
            line = said or await asyncio.get_running_loop().sock_recv(self._connection, 4096)
            if line:
                self._status = json.loads(line).get("status")
        except OSError:
            self._status = None
        finally:
            self._ended.set()

    async def read(self) -> bytes:
        """b"" once the process has ended and its output was read; what it left running is not waited for."""
        while self._output >= 0:
            over = self._ended.is_set()
            try:
                return os.read(self._output, _CHUNK)
            except BlockingIOError:
                if over:
                    break
                await self._ready(self._output, asyncio.get_running_loop().add_reader)
            except OSError:
                break  # EIO: the last process has closed the terminal
        return b""

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._input >= 0 and not self._ended.is_set():
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                await self._ready(self._input, asyncio.get_running_loop().add_writer)
            except OSError:
                return  # nobody reads it any more; `read` tells

    async def write_eof(self) -> None:
        if self._terminal:
            await self.write(b"\x04")
        elif self._input >= 0:
            os.close(self._input)
            self._input = -1

    async def resize(self, rows: int, columns: int) -> None:
        if self._terminal and self._output >= 0:
            fcntl.ioctl(self._output, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self._status

    async def close(self) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        self._connection.close()
        for fd in (self._output, self._input):
            if fd >= 0:
                os.close(fd)
        self._output = self._input = -1

    async def _ready(self, fd: int, add: Callable[[int, Callable[[], None]], object]) -> None:
        """Until the descriptor is ready or the process has ended."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        add(fd, ready.set)
        waits = {asyncio.create_task(ready.wait()), asyncio.create_task(self._ended.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            if add == loop.add_reader:
                loop.remove_reader(fd)
            else:
                loop.remove_writer(fd)
