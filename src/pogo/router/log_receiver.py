"""Receives the request log from HAProxy's ring buffer, which keeps it while pogod is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from pogo.rules.router_log import RouterRecord, parse, split_frames

log = structlog.get_logger()


class RouterLog:
    """on_records: called in the event loop with each batch, in order; it must be quick and should not raise.

    on_start: called when HAProxy connects, which it does at its start: it has no routes then.
    """

    def __init__(
        self,
        socket_path: Path,
        on_records: Callable[[list[RouterRecord]], None],
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = socket_path
        self._on_records = on_records
        self._on_start = on_start
        self._server: asyncio.AbstractServer | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        """Listen. HAProxy connects within a second and first sends what it has kept."""
        self._path.unlink(missing_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._connection, str(self._path))
        self._path.chmod(0o660)

    async def stop(self) -> None:
        """Take in what has arrived, then hang up; later requests wait in HAProxy for the next receiver."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.close()
        self._server = None

    def _connection(self) -> _Connection:
        self._on_start()
        return _Connection(self._connections, self._on_records)


class _Connection(asyncio.Protocol):
    def __init__(self, connections: set[_Connection], on_records: Callable[[list[RouterRecord]], None]) -> None:
        self._connections = connections
        self._on_records = on_records
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            frames, self._rest = split_frames(self._rest + data)
        except ValueError as error:
            log.error("router log out of step, reconnecting", error=str(error))
            self.close()
            return
        records = [record for record in map(parse, frames) if record is not None]
        if records:
            self._on_records(records)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
