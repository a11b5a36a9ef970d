"""An app's requests counted by the minute: status classes, H codes, quantiles of service time. Pure.

Service times go into a histogram of fixed buckets: up to 31 ms one for each millisecond, above that sixteen to each
doubling. What is read from it is the middle of a bucket: at most 1/32 (3.2 %) beside the real value, which itself is
in whole milliseconds, as the router tells it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pogo.rules.router_log import RouterRecord, code

KEPT = 24 * 60  # minutes
QUANTILES = (50, 95, 99)
LONGEST = (1 << 22) - 1  # ms; what takes longer (70 minutes) is counted as this
# Upper edges in seconds of the buckets that Prometheus is shown.
EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_EXACT = 32
_SWITCHED = 101  # a WebSocket's time is how long somebody stayed


@dataclass
class Counts:
    """statuses: by `2xx` … `5xx`, of requests that did not fail; errors: by H code; times: bucket → requests.

    times: of requests that a dyno had, WebSockets left out. milliseconds: the sum of them.
    """

    statuses: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    errors: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    times: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    milliseconds: int = 0

    @property
    def requests(self) -> int:
        return sum(self.statuses.values()) + sum(self.errors.values())

    def add(self, other: Counts) -> None:
        for name, number in other.statuses.items():
            self.statuses[name] += number
        for name, number in other.errors.items():
            self.errors[name] += number
        for index, number in other.times.items():
            self.times[index] += number
        self.milliseconds += other.milliseconds

    def copy(self) -> Counts:
        """Also while another thread counts."""
        return Counts(self.statuses.copy(), self.errors.copy(), self.times.copy(), self.milliseconds)

    def quantile(self, percent: float) -> int | None:
        """Milliseconds that so many percent of the requests took at most; None without requests."""
        left = sum(self.times.values()) * percent / 100
        for bucket in sorted(self.times):
            left -= self.times[bucket]
            if left <= 0:
                return middle(bucket)
        return None


Minutes = dict[tuple[str, int], Counts]
"""(app id, minute since the epoch) → what was counted."""


def bucket(milliseconds: int) -> int:
    if milliseconds < _EXACT:
        return max(milliseconds, 0)
    milliseconds = min(milliseconds, LONGEST)
    shift = milliseconds.bit_length() - 5
    return (shift << 4) + (milliseconds >> shift)


def middle(bucket: int) -> int:
    """The time that a bucket stands for, in ms."""
    if bucket < _EXACT:
        return bucket
    shift = (bucket >> 4) - 1
    return ((bucket - (shift << 4)) << shift) + (1 << shift >> 1)


# A table for what is usual: counting must not slow the router's log down.
_BUCKETS = [bucket(milliseconds) for milliseconds in range(2048)]
_CLASSES = [f"{status // 100}xx" for status in range(1000)]


def count(records: Iterable[RouterRecord], apps: Mapping[int, str], into: Minutes) -> None:
    """Add requests to the counts. apps: slot → app id; requests of other slots are nobody's."""
    minute, until = 0, 0  # of the records that come, usually all of one minute: µs
    known: dict[int, Counts] = {}
    for record in records:
        if not until - 60_000_000 <= record.time < until:
            minute = record.time // 60_000_000
            until = (minute + 1) * 60_000_000
            known = {}
        slot, status = record.slot, record.status
        counts = known.get(slot)
        if counts is None:
            app = apps.get(slot)
            # Nobody's are counted as well, and dropped.
            counts = known[slot] = into.setdefault((app, minute), Counts()) if app else Counts()
        if record.termination == "--" and not record.refusal:
            counts.statuses[_CLASSES[status]] += 1
        elif failure := code(record):
            counts.errors[failure] += 1
        else:
            counts.statuses[_CLASSES[status]] += 1
        connect = record.connect
        if connect >= 0 and status != _SWITCHED:
            took = record.total - record.receiving - connect
            if record.waited > 0:
                took -= record.waited
            counts.times[_BUCKETS[took] if 0 <= took < 2048 else bucket(took)] += 1
            counts.milliseconds += took


def line(minute: int, counts: Counts) -> str:
    """One minute as it is kept: JSON. The same minute may be kept in several lines, which add up."""
    value = {"m": minute, "s": counts.statuses, "h": counts.errors, "t": counts.times, "ms": counts.milliseconds}
    return json.dumps({key: part for key, part in value.items() if part}, separators=(",", ":"))


def parse(text: str) -> tuple[int, Counts] | None:
    """A line that is kept; None for one that was torn when the machine went down."""
    try:
        value = json.loads(text)
        counts = Counts(milliseconds=int(value.get("ms", 0)))
        counts.statuses.update(value.get("s", {}))
        counts.errors.update(value.get("h", {}))
        counts.times.update({int(index): int(number) for index, number in value.get("t", {}).items()})
        return int(value["m"]), counts
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def group(minutes: Iterable[tuple[int, Counts]], first: int, last: int, step: int) -> list[tuple[int, Counts]]:
    """The minutes from `first` to before `last` in groups of `step`: first minute of the group → sum.

    Groups without requests are there too: no requests are a measurement as well.
    """
    found = {start: Counts() for start in range(first, last, step)}
    for minute, counts in minutes:
        if first <= minute < last:
            found[first + (minute - first) // step * step].add(counts)
    return list(found.items())


def cumulated(times: Mapping[int, int]) -> list[tuple[float, int]]:
    """(upper edge in seconds, requests that took no longer) for each of EDGES, and for infinity."""
    reached = [(edge, sum(number for index, number in times.items() if middle(index) <= edge * 1000)) for edge in EDGES]
    return [*reached, (float("inf"), sum(times.values()))]
