"""What the parts of pogod share: the settings, the database, the drivers and the hints between loops."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from pogo.containers import Containers, Execution
from pogo.logs import Line, LogStore
from pogo.logs.traffic import Traffic
from pogo.router import Router
from pogo.rules.usage import Sample
from pogo.services.budgets import Budgets
from pogo.services.database import Database
from pogo.services.guests import Guests
from pogo.services.inside import Openings
from pogo.settings import Settings
from pogo.store import BlobStore

T = TypeVar("T")
STORE_THREADS = 32


class Transcripts(Protocol):
    """The output of builds (by build id) and release phases (by release id): see logs.transcripts."""

    def append(self, id: str, data: bytes, *, own: bool = False) -> None: ...

    def finish(self, id: str) -> None: ...

    def restart(self, id: str, keep: int = 0) -> None: ...

    def exists(self, id: str) -> bool: ...

    def size(self, id: str) -> int: ...

    def tail(self, id: str, count: int) -> bytes: ...

    def finished(self, id: str) -> bool: ...

    def older_than(self, seconds: float) -> list[str]: ...

    def follow(self, id: str, offset: int = 0) -> AsyncIterator[bytes]: ...

    def remove(self, id: str) -> None: ...


class Hints:
    """Wakes loops. A hint that is lost costs at most one period of the loop, never the truth."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wake(self, *names: str) -> None:
        """From any thread: `dynos`, `builds`, `releases`, `router`, `liveness`, `cleanup`."""
        if self._loop is not None:
            for name in names:
                self._loop.call_soon_threadsafe(self._events[name].set)

    async def wait(self, name: str, period: float) -> None:
        """Return when woken, or after `period` seconds."""
        event = self._events[name]
        try:
            async with asyncio.timeout(period):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()


@dataclass
class Platform:
    """One running pogod. node: this host's name in leases and claims. samples: the last ones of all dynos.

    openings: of the attach server, besides one-off dynos. guests: who may come by SSH. traffic: requests, counted.
    store_threads: for calls of the object store. One that does not answer holds them, and not those of the database.
    """

    settings: Settings
    db: Database
    store: BlobStore
    logs: LogStore
    transcripts: Transcripts
    containers: Containers
    router: Router
    node: str
    hints: Hints = field(default_factory=Hints)
    samples: Sequence[Sample] = ()
    openings: Openings[Execution] = field(default_factory=Openings)
    guests: Guests = field(default_factory=Guests)
    budgets: Budgets = field(default_factory=Budgets)
    traffic: Traffic = field(init=False)
    store_threads: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, STORE_THREADS, "store"))

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.settings.state_dir / "traffic")

    async def call(self, function: Callable[..., T], /, *args: object, **kwargs: object) -> T:
        """Run a service in a thread, with the database as its first argument."""
        return await asyncio.to_thread(function, self.db, *args, **kwargs)

    async def ask_store(self, action: Callable[..., T], /, *args: object) -> T:
        """Run what calls the object store in one of its threads."""
        return await asyncio.get_running_loop().run_in_executor(self.store_threads, action, *args)

    def say(self, app_id: str, dyno: str, text: str, *, at: float) -> None:
        """A line of the platform in the app's log: `heroku[<dyno>]: text`. at: unix time.

        What people did through the API is `app[api]`, as Heroku has it.
        """
        source = "app" if dyno == "api" else "heroku"
        self.logs.append(app_id, [Line(at=at, source=source, dyno=dyno, text=text)])
