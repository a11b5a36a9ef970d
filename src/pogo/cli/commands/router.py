"""router:metrics: what the router did for an app."""

from __future__ import annotations

import time
from typing import Any

from pogo.cli import output
from pogo.cli.context import Context

ROWS = 12  # about so many, where no step is asked for
STEPS = (1, 2, 5, 10, 15, 30, 60, 120)
CLASSES = ("2xx", "3xx", "4xx", "5xx")


def metrics(context: Context) -> None:
    minutes = int(context.option("minutes") or 60)
    step = context.option("step") or next((step for step in STEPS if minutes <= step * ROWS), STEPS[-1])
    found: dict[str, Any] = context.api.get(f"{context.app_path}/router-metrics?minutes={minutes}&step={step}")
    if context.on("json"):
        output.json_text(found)
        return
    output.header(f"{output.app_name(context.app)} Requests in the last {minutes} minutes")
    rows = [[_clock(row["at"]), *_row(row)] for row in found["rows"]]
    heads = ["From", "Requests", "Per s", *CLASSES, "p50 ms", "p95 ms", "p99 ms", "Failed"]
    output.table(heads, [*rows, ["total", *_row(found["total"])]])


def _clock(stamp: str) -> str:
    return time.strftime("%H:%M", time.localtime(output.seconds(stamp)))


def _row(counts: dict[str, Any]) -> list[str]:
    """A row without requests stays as good as empty."""
    if not counts["requests"]:
        return ["0"] + [""] * (len(CLASSES) + 5)
    errors = " ".join(f"{code}:{number}" for code, number in counts["errors"].items())
    quantiles = ["" if value is None else str(value) for value in counts["service"].values()]
    statuses = [str(counts["statuses"][name]) for name in CLASSES]
    return [str(counts["requests"]), f"{counts['rate']:.2f}", *statuses, *quantiles, errors]
