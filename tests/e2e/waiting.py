"""Waiting for what becomes true by itself."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], seconds: float = 60) -> float:
    """Seconds until it was true. Fails with what the condition returned last."""
    began = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - began < seconds, f"waited {seconds} s in vain: {found!r}"
        time.sleep(0.05)
    return time.monotonic() - began
