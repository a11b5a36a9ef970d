"""Features of an app that can be switched on; names as Heroku's where it has them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """state: `general` ones are listed by `features`, `beta` ones by `labs` (the official CLI).

    default: whether it is on where nobody has switched it.
    """

    name: str
    title: str
    description: str
    state: str
    default: bool = False


RUNTIME_METRICS = "log-runtime-metrics"
EXEC = "runtime-heroku-exec"
AFFINITY = "http-session-affinity"

FEATURES = {
    feature.name: feature
    for feature in (
        Feature(
            RUNTIME_METRICS,
            "Log Runtime Metrics",
            "Emit dyno resource usage information into app logs",
            "beta",
        ),
        Feature(AFFINITY, "Session affinity", "Route the requests of a client to the dyno it had before", "general"),
        # On by default: else the official client would restart all dynos before its first ps:exec.
        Feature(EXEC, "Exec into dynos", "ps:exec, ps:copy, ps:forward and run:inside", "general", default=True),
    )
}


def is_on(name: str, switched: Collection[str]) -> bool:
    """switched: what is kept with the app: names of those on, and `-name` of defaults that are off."""
    return f"-{name}" not in switched if FEATURES[name].default else name in switched


def switch(name: str, switched: Collection[str], *, on: bool) -> list[str]:
    """What is then kept with the app."""
    kept = {*switched} - {name, f"-{name}"}
    default = FEATURES[name].default
    return sorted(kept if on == default else kept | {name if on else f"-{name}"})
