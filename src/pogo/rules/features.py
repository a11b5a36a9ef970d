"""Features of an app that can be switched on; names as Heroku's where it has them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """state: `general` ones are listed by `features`, `beta` ones by `labs` (the official CLI)."""

    name: str
    title: str
    description: str
    state: str


RUNTIME_METRICS = "log-runtime-metrics"

FEATURES = {
    feature.name: feature
    for feature in (
        Feature(
            RUNTIME_METRICS,
            "Log Runtime Metrics",
            "Emit dyno resource usage information into app logs",
            "beta",
        ),
    )
}
