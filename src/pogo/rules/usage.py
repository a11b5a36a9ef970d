"""What dynos use, as Heroku tells it in an app's log."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

PERIOD = 20.0  # seconds between two samples; Heroku's
_MINUTES = (1, 5, 15)
_MB = 1 << 20
_FULL = 0.9  # of the most memory, held by processes: what is left does not hold a program and its libraries
_THRASHING = 20.0  # pages a second: an idle program has none, a slow disk still gives so many


@dataclass(frozen=True)
class Usage:
    """A sample of one container. Bytes; cpu: seconds since its start. swap counts beside memory, cache does not.

    faults: pages that had to be read from the disk for programs and mapped files since its start.
    """

    memory: int
    cache: int
    swap: int
    cpu: float
    processes: int
    faults: int = 0

    @property
    def total(self) -> int:
        """What is held against the memory quota."""
        return self.memory + self.swap


@dataclass(frozen=True)
class Sample:
    """What a dyno used when it was last looked at. app, dyno: names; quota: bytes of memory."""

    app: str
    dyno: str
    size: str
    quota: int
    usage: Usage


@dataclass
class Load:
    """Average number of busy CPUs over 1, 5 and 15 minutes, decaying as the load average of a kernel does."""

    averages: list[float] = field(default_factory=lambda: [0.0] * len(_MINUTES))
    _cpu: float = 0.0
    _at: float | None = None

    def add(self, cpu: float, at: float) -> None:
        """cpu: seconds used since the start; at: monotonic seconds."""
        if self._at is not None and at > self._at:
            busy = max(0.0, cpu - self._cpu) / (at - self._at)
            for index, minutes in enumerate(_MINUTES):
                kept = math.exp(-(at - self._at) / (60 * minutes))
                self.averages[index] = self.averages[index] * kept + busy * (1 - kept)
        self._cpu, self._at = cpu, at


def runtime_metrics(dyno: str, dyno_id: str, usage: Usage, load: Load, quota: int) -> list[str]:
    """The two lines of Heroku's log-runtime-metrics. quota: bytes."""
    head = f"source={dyno} dyno=heroku.{dyno_id}"
    loads = " ".join(
        f"sample#load_avg_{minutes}m={value:.2f}" for minutes, value in zip(_MINUTES, load.averages, strict=True)
    )
    memory = {
        "total": usage.total + usage.cache,
        "rss": usage.memory,
        "cache": usage.cache,
        "swap": usage.swap,
        "quota": quota,
    }
    sizes = " ".join(f"sample#memory_{name}={value / _MB:.2f}MB" for name, value in memory.items())
    return [f"{head} {loads}", f"{head} {sizes}"]


def over_quota(usage: Usage, quota: int) -> list[str]:
    """Heroku's R14, as long as a dyno holds more than its quota."""
    if usage.total <= quota:
        return []
    return [_running(usage.total, quota), "Error R14 (Memory quota exceeded)"]


def vastly_over(quota: int, most: int) -> list[str]:
    """Heroku's R15, of a dyno that the kernel has killed at `most` bytes; 0 where its size is not known."""
    used = [_running(most, quota)] if quota else []
    return [*used, "Error R15 (Memory quota vastly exceeded)", "Stopping process with SIGKILL"]


def thrashes(before: Usage, now: Usage, seconds: float, most: int) -> bool:
    """Whether a dyno would have been killed at `most` bytes, did Linux not win the last pages again and again from its
    programs, which it then has to read anew: hardly anything gets done, at the price of a whole CPU.

    seconds: between the two samples.
    """
    full = min(before.total, now.total) >= _FULL * most
    return full and seconds > 0 and now.faults - before.faults >= _THRASHING * seconds


def _running(memory: int, quota: int) -> str:
    return f"Process running mem={memory // _MB}M({memory * 100 / quota:.1f}%)"
