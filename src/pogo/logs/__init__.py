"""Log streams: one per app; app output, router lines and platform events in one order."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Line:
    """at: unix time; source: `app` or `heroku`; dyno: `web.1`, `router`, `api` …; text without newline.

    origin: (container id, offset after this line) for collected output, so that a collector that
    was killed knows where to go on.
    """

    at: float
    source: str
    dyno: str
    text: str
    origin: tuple[str, int] | None = None


@dataclass(frozen=True)
class Filter:
    """Empty fields match everything. dyno: a name (`web.1`) or a process type (`web`)."""

    source: str = ""
    dyno: str = ""


class LogStore(Protocol):
    """Bounded per app; survives restarts. Raises `errors.StorageFull`."""

    def append(self, app: str, lines: Sequence[Line]) -> None:
        """Add lines to the stream of the app (its id). Durable against a kill of this process."""
        ...

    def recent(self, app: str, count: int, filter: Filter = Filter()) -> list[tuple[str, Line]]:
        """The last `count` matching lines, oldest first, each with its id."""
        ...

    def follow(self, app: str, after: str, filter: Filter = Filter()) -> AsyncIterator[tuple[str, Line]]:
        """Lines after the one with id `after`, live, for ever; from the oldest for an empty id.

        Where lines went before they were read (an id that is gone, a follower that is too slow), a
        `gap` stands in their place, with the id of the last line that was read.
        """
        ...

    def cursor(self, app: str, container: str) -> int:
        """Offset up to which the output of this container is in the stream (0: none)."""
        ...

    def destroy(self, app: str) -> None: ...


def gap() -> Line:
    """What a reader is told in the place of lines that he has missed; the code is Heroku's."""
    return Line(time.time(), "heroku", "logplex", "Error L10 (output buffer overflow): older messages were dropped.")
