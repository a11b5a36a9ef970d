"""Brings the output of containers into the logs of their apps, each byte once, whoever is killed."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import structlog

from pogo.containers import Observed
from pogo.errors import PogoError
from pogo.logs import Line
from pogo.rules.log_lines import split_output
from pogo.services.platform import Platform

log = structlog.get_logger()
RETRY = 1.0


class Collector:
    """One task per container; `finished` holds the ids whose whole output is in the log."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.finished: set[str] = set()
        self._safe: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def attend(self, containers: dict[str, Observed]) -> None:
        """Collect from these; forget all others."""
        for id, container in containers.items():
            if "attach" in container.labels:
                self.finished.add(id)  # its output is for its client alone
            elif id not in self._tasks:
                self._tasks[id] = asyncio.create_task(self._collect(container))
        for id in [id for id in self._tasks if id not in containers]:
            self._tasks.pop(id).cancel()
            self._safe.pop(id, None)
        self.finished &= containers.keys()

    async def _collect(self, container: Observed) -> None:
        while container.id not in self.finished:
            try:
                if await self._read(container):
                    self.finished.add(container.id)
            except PogoError as error:  # agent restarted, disk full: the spool keeps it for us
                log.warning("cannot collect output", container=container.id, error=str(error))
                await asyncio.sleep(RETRY)
            except Exception:
                log.exception("cannot collect output", container=container.id)
                await asyncio.sleep(RETRY)
        self.platform.hints.wake("dynos", "releases")

    async def _read(self, container: Observed) -> bool:
        """Whether all of it was read; else it is to be called again."""
        platform, labels = self.platform, container.labels
        app, dyno, release = labels["app"], labels["dyno"], labels.get("release", "")
        taken = known = await asyncio.to_thread(platform.logs.cursor, app, container.id)
        async with aclosing(platform.containers.logs(container.id, taken)) as frames:
            async for frame in frames:
                if frame.lost and self._safe.get(container.id, 0) < taken:
                    await self._collected(container.id, taken)
                    return False  # only now no more is lost here: see the port
                if release:
                    platform.transcripts.append(release, frame.data)
                # A daemon that was killed as it wrote may have left the first lines of a frame.
                pieces = [piece for piece in split_output(frame.data, frame.offset) if piece.end > known]
                lines = [Line(frame.at, "app", dyno, piece.text, (container.id, piece.end)) for piece in pieces]
                if frame.lost:
                    lines.insert(0, _lost(frame.lost, dyno, (container.id, frame.offset - len(frame.data))))
                platform.logs.append(app, lines)
                taken = frame.offset
                if taken - self._safe.get(container.id, 0) >= 65_536:
                    await self._collected(container.id, taken)
        return True

    async def _collected(self, id: str, offset: int) -> None:
        await self.platform.containers.collected(id, offset)
        self._safe[id] = offset


def _lost(count: int, dyno: str, origin: tuple[str, int]) -> Line:
    # Heroku's code for output that came faster than it could be taken.
    text = f"Error L10 (output buffer overflow): {count} messages dropped."
    return Line(time.time(), "heroku", dyno, text, origin)
