"""Dynos: how fast one starts, what a thousand of them cost, how many lines they may print."""

from __future__ import annotations

from installation import Installation

from bench import boot, lines, many, scale


def measure(platform: Installation) -> None:
    for title, part in (
        ("the same web server, from its start until its first 200", boot.measure),
        ("an app scaled to 100 web dynos and back to 1", scale.measure),
        ("10 dynos that print as fast as they can", lines.measure),
        (f"a process until its first output, beside none, some and {many.MOST} idle dynos", many.measure),
    ):
        with open("/proc/loadavg") as file:
            print(f" {title} (load {' '.join(file.read().split()[:2])})")
        part(platform)
