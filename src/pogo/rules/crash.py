"""What is remembered of a crash, for `ps` and the API."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

LINES = 5  # of its last output
_LINE = 300  # characters


def describe(status: int | None, *, code: str, reason: str, at: float) -> dict[str, Any]:
    """status: 0-255, 128+n for signal n; None for a dyno that is replaced while it runs. code: Heroku's, or empty.

    reason: why it never started, or is replaced. at: unix time.
    """
    return {
        "at": at,
        "status": status,
        "signal": _signal(status),
        "code": code or None,
        "reason": reason or None,
        "lines": [],
    }


def with_output(crash: dict[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    """lines: the last ones that the process printed."""
    return {**crash, "lines": [line[:_LINE] for line in lines[-LINES:]]}


def _signal(status: int | None) -> str | None:
    try:
        return signal.Signals(status - 128).name if status and status > 128 else None
    except ValueError:
        return None
