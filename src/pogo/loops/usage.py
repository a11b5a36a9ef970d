"""Samples what dynos use: for the operator's metrics, for R14, and for the log where an app asks for it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from pogo.rules import sizes
from pogo.rules.features import RUNTIME_METRICS
from pogo.rules.usage import Load, Sample, Usage, over_quota, runtime_metrics, thrashes
from pogo.services import features, snapshot
from pogo.services.platform import Platform
from pogo.services.usage import SEEN_EVERY, seen


@dataclass
class UsageLoop:
    platform: Platform
    _loads: dict[str, Load] = field(default_factory=dict)
    _before: dict[str, tuple[Usage, float]] = field(default_factory=dict)
    _noted: float = -math.inf

    async def turn(self) -> bool:
        used = await self.platform.containers.usage()
        apps = await self.platform.call(snapshot.read)
        talkative = await self.platform.call(features.apps_with, RUNTIME_METRICS)
        samples, present, running = [], set(), set()
        for app in apps:
            for dyno in app.dynos:
                usage = used.get(dyno.container or "")
                size = sizes.SIZES.get(dyno.size.lower())
                if usage is None or size is None or not dyno.container:
                    continue
                present.add(dyno.container)
                running.add(dyno.id)
                quota = size.memory
                load = self._loads.setdefault(dyno.container, Load())
                load.add(usage.cpu, time.monotonic())
                samples.append(Sample(app.name, dyno.name, dyno.size, quota, usage))
                lines = runtime_metrics(dyno.name, dyno.id, usage, load, quota) if app.id in talkative else []
                await self._end_if_it_thrashes(dyno.container, usage, size.most_memory)
                for text in lines + over_quota(usage, quota):
                    self.platform.say(app.id, dyno.name, text, at=time.time())
        self.platform.samples = samples
        self._loads = {container: load for container, load in self._loads.items() if container in present}
        self._before = {container: last for container, last in self._before.items() if container in present}
        if time.monotonic() >= self._noted + SEEN_EVERY.total_seconds():
            self._noted = time.monotonic()
            await self.platform.call(seen, running)
        return False

    async def _end_if_it_thrashes(self, container: str, usage: Usage, most: int) -> None:
        """As the kernel would, which does not notice: its end is told as R15."""
        before, at = self._before.get(container, (usage, 0.0))
        self._before[container] = usage, time.monotonic()
        if thrashes(before, usage, time.monotonic() - at, most):
            await self.platform.containers.stop(container, 0, exceeded="memory")
