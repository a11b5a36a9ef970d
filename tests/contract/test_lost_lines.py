"""Lines that were printed are in the log or counted as lost (L10), whoever of pogod's is killed: exactly."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

from containers_rig import Rig
from test_containers import Runner, run  # noqa: F401  (a fixture)

from pogo.logs import Line
from pogo.logs.files import FileLogs
from pogo.loops.collect import Collector

APP = "app-1"
LOST = re.compile(r"Error L10 \(output buffer overflow\): (\d+) messages dropped\.")


class KilledError(BaseException):
    pass


class Logs(FileLogs):
    """As of a daemon that takes its time, and is killed in the middle of a write."""

    left = 1 << 30

    def append(self, app: str, lines: Sequence[Line]) -> None:
        self.left -= 1
        if self.left < 0:
            super().append(app, lines[: random.randrange(len(lines) + 1)])
            raise KilledError
        super().append(app, lines)


class Daemon:
    """What of pogod brings output into the log, as it is after each of its starts."""

    def __init__(self, rig: Rig, directory: Path) -> None:
        self.logs = Logs(directory, max_lines=8 << 20)
        self.collector = Collector(
            SimpleNamespace(  # type: ignore[arg-type]
                logs=self.logs, containers=rig.containers, hints=SimpleNamespace(wake=lambda *_: None)
            )
        )

    async def live(self, rig: Rig, id: str, appends: int) -> bool:
        """Until it is killed in its append number `appends`, or all is collected: whether it is."""
        self.logs.left = appends
        seen = await rig.seen(id)
        assert seen is not None
        try:
            await self.collector._collect(seen)
        except KilledError:
            return False
        return True


def test_every_line_is_in_the_log_or_counted(run: Runner, tmp_path: Path) -> None:  # noqa: F811
    async def scenario(rig: Rig) -> None:
        rounds, each = 4, 120_000
        steps = [
            (("count", str(number * each + 1), str((number + 1) * each)), ("pause", "0.2")) for number in range(rounds)
        ]
        labels = {"app": APP, "dyno": "web.1"}
        id = await rig.start(*chain(*steps), ("exit", "0"), spool=2 << 20, labels=labels)
        for _ in range(8):
            if await Daemon(rig, tmp_path).live(rig, id, random.randrange(12)):
                break
            await asyncio.sleep(random.random() / 2)  # it prints on while nobody reads
        assert await Daemon(rig, tmp_path).live(rig, id, 1 << 30)
        lines = [line for _, line in FileLogs(tmp_path, max_lines=8 << 20).recent(APP, rounds * each)]
        printed = [int(line.text) for line in lines if line.source == "app"]
        lost = sum(int(match[1]) for line in lines if (match := LOST.fullmatch(line.text)))
        print(f"\n{len(printed)} lines, {lost} lost")
        assert printed == sorted({*printed})
        assert len(printed) + lost == rounds * each

    run(scenario)
