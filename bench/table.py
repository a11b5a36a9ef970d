"""Rows of medians with their ratio to the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median


def show(samples: Mapping[str, Sequence[float]], unit: str) -> None:
    """samples: what was measured → its values in `unit`, taken in turns. The first row is the measure of the others."""
    base = median(next(iter(samples.values())))
    for name, values in samples.items():
        middle = median(values)
        print(f"  {name:<44} {middle:10.1f} {unit:<5} (least {min(values):.1f})   x {middle / base:.2f}")
