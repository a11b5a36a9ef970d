"""From what an app shall run and what is seen to run: the next steps for its dynos.

`plan` is called again and again from scratch; each call gives the steps that are due now. A step is
harmless when it comes twice, since the caller first records it conditionally in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from zlib import crc32

# Heroku: a crashed dyno is started again at once, then after growing pauses.
PAUSES = (0, 5, 15, 30, 60, 120, 300, 600)  # seconds, then `Bounds.pause_max`
STEADY = timedelta(minutes=5)  # a dyno that was up so long starts over with the pauses
LOST = -1  # exit status of a container that went down with the machine, or with its monitor
WHY_LOST = "Process lost: the machine was restarted, or what watches over the process was killed"
UNCLAIMED = timedelta(minutes=5)  # an attached one-off dyno whose client never came
KEPT = 60  # seconds that an ended one-off dyno stays known, for those who wait for its end


@dataclass(frozen=True)
class Want:
    """One dyno the formation asks for. size: as stored (`Basic`)."""

    type: str
    number: int
    size: str
    command: str


@dataclass(frozen=True)
class DynoState:
    """The stored state of a dyno; fields as in model.Dyno.

    attach: a client is to join its terminal or pipes; waiting: none came yet.
    """

    id: str
    kind: str
    type: str
    number: int
    release: str
    size: str
    state: str
    state_at: datetime
    container: str | None = None
    retired: str | None = None
    restarts: int = 0
    next_start: datetime | None = None
    expires_at: datetime | None = None
    stop_by: datetime | None = None
    attach: bool = False
    waiting: bool = False

    @property
    def name(self) -> str:
        return f"{self.type}.{self.number}"


@dataclass(frozen=True)
class Seen:
    """A dyno's container. status: None while it runs. collected: its whole output is in the log."""

    status: int | None = None
    oom: bool = False
    collected: bool = False
    refused: str = ""


@dataclass(frozen=True)
class Bounds:
    """Seconds. cycle: after which a dyno that is up is replaced by a new one, 0 for never."""

    boot: float = 60
    drain: float = 30
    grace: float = 30
    pause_max: float = 1200
    cycle: float = 0


@dataclass(frozen=True)
class Create:
    want: Want


@dataclass(frozen=True)
class Retire:
    """Mark a formation dyno for replacement or removal."""

    dyno: DynoState
    why: str


@dataclass(frozen=True)
class Boot:
    """Start the dyno in a (new) container."""

    dyno: DynoState


@dataclass(frozen=True)
class MarkUp:
    dyno: DynoState


@dataclass(frozen=True)
class Drain:
    """No new requests; those in flight may finish."""

    dyno: DynoState


@dataclass(frozen=True)
class Stop:
    """SIGTERM, and SIGKILL when `grace` seconds are over. code: Heroku's error code that is the reason, or empty."""

    dyno: DynoState
    grace: float
    code: str = ""


@dataclass(frozen=True)
class Crash:
    """The process ended by itself, or never came up. pause: seconds until it is started again."""

    dyno: DynoState
    status: int
    restarts: int
    pause: float
    reason: str = ""


@dataclass(frozen=True)
class Replace:
    """It runs but does not serve: no more requests for it, and a successor, which inherits its pauses (as of Crash)."""

    dyno: DynoState
    restarts: int
    pause: float
    reason: str


@dataclass(frozen=True)
class Finish:
    """A one-off dyno or a release phase ended with this exit status."""

    dyno: DynoState
    status: int


@dataclass(frozen=True)
class Park:
    """A dyno that a user stopped has ended: it stays down."""

    dyno: DynoState


@dataclass(frozen=True)
class Clear:
    """Remove the ended container of a dyno; with `forget`, the dyno too."""

    dyno: DynoState
    forget: bool


Step = Create | Retire | Boot | MarkUp | Drain | Stop | Crash | Replace | Finish | Park | Clear


def plan(
    release: str | None,
    wants: Iterable[Want],
    dynos: Iterable[DynoState],
    seen: Mapping[str, Seen],
    ready: Set[str],
    now: datetime,
    bounds: Bounds = Bounds(),
    sick: Mapping[str, str] = MappingProxyType({}),
) -> list[Step]:
    """The steps due now for one app.

    release: id of the current release, None when nothing shall run. wants: the formation of that release.
    seen: containers by id. ready: ids of web dynos that answered. sick: ids of dynos that no longer do → why.
    """
    wanted = {(want.type, want.number): want for want in wants} if release else {}
    dynos = list(dynos)
    steps: list[Step] = []
    holders = {}
    for dyno in dynos:
        if dyno.kind == "formation" and dyno.retired in (None, "stopped"):
            want = wanted.get((dyno.type, dyno.number))
            if want is None:
                steps.append(Retire(dyno, "removed"))
            elif dyno.release != release or dyno.size != want.size or _is_old(dyno, now, bounds):
                steps.append(Retire(dyno, "replaced"))
            else:
                holders[dyno.type, dyno.number] = dyno
    steps += [Create(want) for key, want in wanted.items() if key not in holders]
    for type in {dyno.type for dyno in holders.values() if dyno.id in sick}:
        steps += _replacements([holders.get(key) for key in wanted if key[0] == type], sick, seen, now, bounds)
    switched = {
        type: all(
            (holder := holders.get(key)) is not None and holder.state in ("up", "down")
            for key in wanted
            if key[0] == type
        )
        for type in {dyno.type for dyno in dynos}
    }
    for dyno in dynos:
        container = seen.get(dyno.container) if dyno.container else None
        steps += _next(dyno, container, switched[dyno.type], dyno.id in ready, now, bounds)
    return steps


def _replacements(
    wanted: Sequence[DynoState | None], sick: Mapping[str, str], seen: Mapping[str, Seen], now: datetime, bounds: Bounds
) -> Iterator[Step]:
    """For sick dynos of one type: of each that is wanted, the dyno or None.

    Never more than half at a time: new dynos do not cure what makes all of them sick, such as a database that is gone.
    """
    members = [dyno for dyno in wanted if dyno is None or dyno.state != "down"]
    up = [dyno for dyno in members if dyno and dyno.state == "up"]
    room = max(1, len(members) // 2) - (len(members) - len(up))
    ill = [dyno for dyno in up if dyno.id in sick and seen.get(dyno.container or "", Seen()).status is None]
    for dyno in ill[: max(0, room)]:
        restarts = _restarts(dyno, now)
        yield Replace(dyno, restarts, pause(restarts, bounds.pause_max), sick[dyno.id])


def rest(dynos: Iterable[DynoState], now: datetime, longest: float) -> float:
    """Seconds until `plan`, which has no step now, may have one by the mere passing of time; `longest` at most."""
    left = longest
    for dyno in dynos:
        if dyno.state == "crashed" and not dyno.container and dyno.next_start:
            left = min(left, (dyno.next_start - now).total_seconds())
        elif dyno.state not in ("up", "down", "complete") or dyno.retired:
            return 0
        elif dyno.expires_at:
            left = min(left, (dyno.expires_at - now).total_seconds())
    return max(0, left)


def _next(
    dyno: DynoState, container: Seen | None, switched: bool, ready: bool, now: datetime, bounds: Bounds
) -> list[Step]:
    ended = dyno.container is None or (container is not None and container.status is not None)
    cleared = dyno.container is None or (container is not None and container.status is not None and container.collected)
    if dyno.state == "draining" and not ended:
        return [Stop(dyno, bounds.grace)] if _since(dyno, now) >= bounds.drain else []
    if dyno.state in ("draining", "stopping"):
        # A stopping dyno whose container nobody sees was never started, or is already forgotten.
        return [_gone(dyno, container, now, bounds)] if cleared or container is None else []
    if dyno.state == "complete":
        kept = _since(dyno, now) < KEPT
        if dyno.container and dyno.attach and kept:
            return []  # it may have ended before its client came, who shall have its output
        if dyno.container:
            return [Clear(dyno, forget=False)] if cleared or container is None else []
        return [] if kept else [Clear(dyno, forget=True)]
    if dyno.retired:
        if ended:
            return [_gone(dyno, container, now, bounds)] if cleared else []
        return _retire(dyno, container, switched, bounds)
    if dyno.kind != "formation" and _overdue(dyno, now):
        return [Stop(dyno, bounds.grace)] if dyno.container else [Finish(dyno, LOST)]
    if dyno.state == "crashed" and dyno.container:
        return [Clear(dyno, forget=False)] if cleared or container is None else []
    if dyno.state == "crashed":
        return [Boot(dyno)] if dyno.next_start is None or dyno.next_start <= now else []
    if dyno.state == "starting" and container is None:
        return [Boot(dyno)]
    if dyno.state in ("starting", "up"):
        return _running(dyno, container, ready, now, bounds)
    return []


def _running(dyno: DynoState, container: Seen | None, ready: bool, now: datetime, bounds: Bounds) -> list[Step]:
    status = LOST if container is None else container.status
    if status is not None:
        if dyno.kind != "formation":
            return [Finish(dyno, status)]
        return [_crash(dyno, status, now, bounds, container.refused if container else "")]
    if dyno.state == "up":
        return []
    if dyno.kind != "formation" or dyno.type != "web" or ready:
        return [MarkUp(dyno)]
    return [Stop(dyno, 0, code="R10")] if _since(dyno, now) > bounds.boot else []


def _retire(dyno: DynoState, container: Seen | None, switched: bool, bounds: Bounds) -> list[Step]:
    if dyno.state == "up" and dyno.retired == "replaced" and not switched:
        return []  # it serves until its successors do
    if dyno.state == "up" and dyno.type == "web" and container is not None:
        return [Drain(dyno)]
    return [Stop(dyno, bounds.grace)]


def _gone(dyno: DynoState, container: Seen | None, now: datetime, bounds: Bounds) -> Step:
    status = container.status if container and container.status is not None else LOST
    if dyno.kind != "formation":
        return Finish(dyno, status)
    if dyno.retired == "stopped":
        return Park(dyno)
    if dyno.retired is None:  # stopped because it never came up
        return _crash(dyno, status, now, bounds)
    return Clear(dyno, forget=True)


def _crash(dyno: DynoState, status: int, now: datetime, bounds: Bounds, reason: str = "") -> Crash:
    if status == LOST and not reason:
        return Crash(dyno, status, dyno.restarts, 0, WHY_LOST)
    restarts = _restarts(dyno, now)
    return Crash(dyno, status, restarts, pause(restarts, bounds.pause_max), reason)


def _restarts(dyno: DynoState, now: datetime) -> int:
    """In a row, with the one that is due now."""
    return 1 if dyno.state == "up" and now - dyno.state_at >= STEADY else dyno.restarts + 1


def pause(restarts: int, longest: float) -> float:
    """Seconds before restart number `restarts` in a row; 0 for the first, never above `longest`."""
    return float(min(PAUSES[restarts - 1], longest)) if restarts <= len(PAUSES) else longest


def _is_old(dyno: DynoState, now: datetime, bounds: Bounds) -> bool:
    """Due to be cycled, up to 15 % late (Heroku: 24 hours and up to 216 minutes): dynos that came together go apart."""
    late = 0.15 * (crc32(dyno.id.encode()) % 1000) / 1000
    return bounds.cycle > 0 and dyno.state == "up" and _since(dyno, now) > bounds.cycle * (1 + late)


def _since(dyno: DynoState, now: datetime) -> float:
    return (now - dyno.state_at).total_seconds()


def _overdue(dyno: DynoState, now: datetime) -> bool:
    if dyno.expires_at is not None and dyno.expires_at <= now:
        return True
    return dyno.waiting and now - dyno.state_at > UNCLAIMED
