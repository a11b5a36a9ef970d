"""Which build is next, and what those that wait are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Waiting:
    """A build that nobody works on. begun: it was worked on, by a daemon that is gone, and goes first.

    not_before: of one that is tried again after a fault of the platform.
    """

    id: str
    app: str
    user: str
    created_at: datetime
    begun: bool = False
    not_before: datetime | None = None


@dataclass(frozen=True)
class Started:
    """A build that was taken up, lately or long ago. running: whether it is being worked on."""

    app: str
    user: str
    at: datetime
    running: bool


def order(waiting: Collection[Waiting], started: Collection[Started]) -> list[Waiting]:
    """The builds in the order in which they will be taken up, as things stand.

    Whose builds run now, or were taken up since this one was queued, gives way to others; so ten builds
    of one person, or of one app, do not hold up the first one of another. Else first come, first served.
    """
    served = list(started)
    rest = sorted(waiting, key=lambda build: (build.created_at, build.id))
    found: list[Waiting] = []
    while rest:
        first_of_app = {build.app: build for build in reversed(rest)}.values()
        best = min(first_of_app, key=lambda build: _claim(build, served))
        rest.remove(best)
        found.append(best)
        served.append(Started(best.app, best.user, datetime.max.replace(tzinfo=UTC), running=False))
    return found


def _claim(build: Waiting, served: Sequence[Started]) -> tuple[bool, int, int, int, datetime, str]:
    since = [one for one in served if one.at > build.created_at]
    return (
        not build.begun,
        sum(one.running for one in served if one.user == build.user),
        sum(one.user == build.user for one in since),
        sum(one.app == build.app for one in since),
        build.created_at,
        build.id,
    )


def next_build(waiting: Collection[Waiting], started: Collection[Started], now: datetime) -> Waiting | None:
    """The build to take up now: one per app at a time, none before its time; None where all have to wait."""
    busy = {one.app for one in started if one.running}
    put_off = {one.app for one in waiting if one.not_before and one.not_before > now}
    return next((build for build in order(waiting, started) if build.app not in busy | put_off), None)


def reasons(waiting: Collection[Waiting], started: Collection[Started], places: int) -> dict[str, str]:
    """Why each build waits, by its id: for its own app's builds, or for a place, of which there are `places`."""
    found = {}
    running = [one for one in started if one.running]
    ahead = {app: sum(one.app == app for one in running) for app in {build.app for build in waiting}}
    for place, build in enumerate(order(waiting, started), start=1):
        before = ahead[build.app]
        ahead[build.app] += 1
        if before:
            others = "Another build" if before == 1 else f"{before} other builds"
            found[build.id] = f"{others} of this app must end first. This one is queued, and starts then."
        elif len(running) >= places:
            taken = "The only build place is" if places == 1 else f"All {places} build places are"
            nth = "next" if place == 1 else f"number {place}"
            found[build.id] = f"{taken} taken. This build is queued: it is {nth} in the queue."
    return found
