"""Asks a dyno whether it answers: on its port, or to a GET."""

from __future__ import annotations

import asyncio
import contextlib

from pogo.rules.checks import fault

LONGEST_HEAD = 8192
# The rest of an answer is read, so that the dyno sees no broken connection; up to so much, and for so long.
MOST_BODY = 1 << 20
PATIENCE = 1.0
USER_AGENT = "Pogoapp-Check"


async def port(address: str, port: int, timeout: float) -> str:
    """Why a connection to the port cannot be made within so many seconds, "" if it can."""
    transport, reason = await _connect(asyncio.Protocol(), address, port, timeout)
    if transport:
        transport.close()
    return reason


async def path(address: str, port: int, path: str, host: str, timeout: float) -> str:
    """Why a GET is not answered by 2xx or 3xx within so many seconds, "" if it is. host: for the Host header."""
    answer = _Answer()
    began = asyncio.get_running_loop().time()
    transport, reason = await _connect(answer, address, port, timeout)
    if transport is None:
        return reason
    transport.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n"
        "X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n".encode()
    )
    try:
        async with asyncio.timeout(began + timeout - asyncio.get_running_loop().time()):
            status = await answer.status
    except TimeoutError:
        transport.abort()
        return f"GET {path} was not answered within {timeout:g} seconds"
    if status is None:
        transport.abort()
        return f"GET {path} was not answered in HTTP"
    return fault(path, status)


async def _connect(
    protocol: asyncio.Protocol, address: str, port: int, timeout: float
) -> tuple[asyncio.Transport | None, str]:
    try:
        async with asyncio.timeout(timeout):
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, address, port)
    except TimeoutError:
        return None, f"no connection to port {port} within {timeout:g} seconds"
    except OSError as error:
        refused = isinstance(error, ConnectionRefusedError)
        return None, f"nothing listens on port {port}" if refused else f"no connection to port {port}: {error.strerror}"
    return transport, ""


class _Answer(asyncio.Protocol):
    """status: of the answer; None where what comes is none."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.status: asyncio.Future[int | None] = loop.create_future()
        self._head = b""
        self._read = 0
        self._transport: asyncio.BaseTransport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # uvloop's is no asyncio.Transport

    def data_received(self, data: bytes) -> None:
        self._read += len(data)
        if self.status.done():
            if self._read > MOST_BODY:
                self._close()
            return
        self._head += data[:LONGEST_HEAD]
        line, newline, _ = self._head.partition(b"\n")
        if newline or len(self._head) >= LONGEST_HEAD:
            self.status.set_result(_status(line))
            self._end = asyncio.get_running_loop().call_later(PATIENCE, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end:
            self._end.cancel()
        if not self.status.done():
            self.status.set_result(None)

    def _close(self) -> None:
        assert self._transport
        self._transport.close()


def _status(line: bytes) -> int | None:
    version, _, rest = line.partition(b" ")
    if version.startswith(b"HTTP/1."):
        with contextlib.suppress(ValueError):
            return int(rest[:3])
    return None
