"""What the router did for an app in the last day. Ours; the official API has nothing of the kind."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Response

from pogo.api.answers import answer
from pogo.api.bodies import resource_router
from pogo.api.caller import Me, TheApp
from pogo.api.show import shapes
from pogo.rules import traffic
from pogo.rules.traffic import KEPT, QUANTILES, Counts

router = resource_router()


@router.get("/apps/{app}/router-metrics")
def index(
    me: Me,
    app: TheApp,
    minutes: Annotated[int, Query(ge=1, le=KEPT)] = 60,
    step: Annotated[int, Query(ge=1, le=KEPT)] = 1,
) -> Response:
    """minutes: how far back; step: how many of them are summed up in one row. The minute that runs is the last one."""
    last = int(time.time() // 60) + 1
    first = last - minutes
    found = me.platform.traffic.read(app.id, first, last)
    rows = traffic.group(found, first, last, step)
    whole = Counts()
    for _, counts in rows:
        whole.add(counts)
    shown = {
        "app": shapes.app_ref(app),
        "minutes": minutes,
        "step": step,
        "total": _counts(whole, minutes),
        "rows": [{"at": _time(start), **_counts(counts, min(step, last - start))} for start, counts in rows],
    }
    return answer(shown)


def _time(minute: int) -> str:
    return shapes.time(datetime.fromtimestamp(minute * 60, UTC))


def _counts(counts: Counts, minutes: int) -> dict[str, Any]:
    """rate: requests a second. service: quantiles in ms (3 % beside the real ones), null where no dyno was asked."""
    return {
        "requests": counts.requests,
        "rate": round(counts.requests / minutes / 60, 3),
        "statuses": {name: counts.statuses.get(name, 0) for name in ("2xx", "3xx", "4xx", "5xx")},
        "errors": dict(sorted(counts.errors.items())),
        "service": {f"p{percent}": counts.quantile(percent) for percent in QUANTILES},
    }
