"""Wake followers, each on its own event loop, from whatever thread has written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """One follower's. What was written before `ring` is seen by the read that comes after `wait`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._rung = False

    def ring(self) -> None:
        """From any thread. Many rings before the follower looks are one."""
        if self._rung or self._loop.is_closed():
            return
        self._rung = True
        self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()
        self._rung = False


class Bells:
    """Those of all followers of one stream."""

    def __init__(self) -> None:
        self._bells: frozenset[Bell] = frozenset()
        self.closed = False

    @property
    def followers(self) -> int:
        return len(self._bells)

    def ring(self) -> None:
        for bell in self._bells:
            bell.ring()

    def close(self) -> None:
        """The stream is gone: its followers wake and end."""
        self.closed = True
        self.ring()

    @contextmanager
    def listen(self) -> Iterator[Bell]:
        """A bell for the running event loop."""
        bell = Bell()
        self._bells |= {bell}
        try:
            yield bell
        finally:
            self._bells -= {bell}
