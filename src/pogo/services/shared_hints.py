"""Hints between the daemons of one PostgreSQL: what wakes a loop here wakes it where it runs (LISTEN, NOTIFY)."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable

import psycopg
import structlog

from pogo.services.platform import Hints
from pogo.services.postgres import connect_arguments

log = structlog.get_logger()
CHANNEL = "pogo_hints"
PAUSE = 2.0  # seconds without the server before the next try


class SharedHints(Hints):
    """Nothing depends on a hint: while the server is away they are dropped, and loops turn at their periods."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url.replace("postgresql+psycopg:", "postgresql:", 1)
        self._own = secrets.token_hex(4)
        self._waiting: set[str] = set()
        self._any = threading.Event()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        super().bind(loop)
        for work in (self._send, self._listen):
            threading.Thread(target=self._for_ever, args=(work,), name="hints", daemon=True).start()

    def wake(self, *names: str) -> None:
        super().wake(*names)
        self._waiting.update(names)
        self._any.set()

    def _for_ever(self, work: Callable[[psycopg.Connection], None]) -> None:
        told = False
        while self._loop and not self._loop.is_closed():
            try:
                with psycopg.connect(self._url, autocommit=True, **connect_arguments()) as connection:
                    told = False
                    work(connection)
            except psycopg.Error as error:
                if not told:
                    log.warning("hints are lost for now", error=str(error).strip())
                told = True
            time.sleep(PAUSE)

    def _send(self, connection: psycopg.Connection) -> None:
        while True:
            self._any.wait()
            self._any.clear()
            names: list[str] = []
            while self._waiting:
                names.append(self._waiting.pop())
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, " ".join([self._own, *names])))

    def _listen(self, connection: psycopg.Connection) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        while self._loop and not self._loop.is_closed():
            # A connection that broke without a word is found by asking.
            for notice in connection.notifies(timeout=30):
                sender, *names = notice.payload.split()
                if sender != self._own and not self._loop.is_closed():
                    super().wake(*names)
            connection.execute("SELECT 1")
