"""How a build ended, and what the pusher is told then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EXPLAINED = (1, 2)  # the app's fault, the platform's: the builder has said why
KILLED = 137
MB = 1 << 20


@dataclass(frozen=True)
class Allowed:
    """What a build may use; each with the name of its setting in the messages."""

    memory_mb: int
    processes: int
    disk_mb: int
    seconds: int


def failure(status: int, oom: bool, exceeded: str, allowed: Allowed) -> str:
    """Why the builder failed, where it could not say so itself; empty where its output says it all.

    oom, exceeded: as `containers.Exit` has them.
    """
    met = _met(exceeded, allowed)
    if exceeded in ("disk", "reserve"):
        return met
    if oom:
        return _memory(allowed)
    if met:
        return met
    if status in EXPLAINED:
        return ""
    if status == KILLED:
        return _memory(allowed)
    return f"The builder stopped unexpectedly (status {status}): a fault of the platform, not of your app. Push again."


def too_long(exceeded: str, allowed: Allowed) -> str:
    length = f"{allowed.seconds // 60} minutes" if allowed.seconds >= 120 else f"{allowed.seconds} seconds"
    text = f"The build took longer than {length} and was stopped (POGO_BUILD_TIMEOUT)."
    return f"{text} {met}" if (met := _met(exceeded, allowed)) else text


def _memory(allowed: Allowed) -> str:
    limit = f"{allowed.memory_mb} MB that a build may use (POGO_BUILD_MEMORY_MB)"
    return f"The build was killed: it needs more than the {limit}."


def _met(exceeded: str, allowed: Allowed) -> str:
    match exceeded:
        case "pids":
            limit = f"{allowed.processes} processes that a build may have (POGO_BUILD_PROCESSES)"
            return f"The build could not start more than the {limit}."
        case "disk":
            return (
                f"The build was killed: it wrote more than the {allowed.disk_mb} MB that it may (POGO_BUILD_DISK_MB)."
            )
        case "reserve":
            return "The build was killed: it left too little free space on the platform's disk for the running apps."
    return ""


def summary(steps: Mapping[str, float]) -> str:
    """`Built in 12.3 s: compile 9.1 s, pack 1.2 s, store 0.4 s; peak memory 312 MB`. steps: see model.Build."""
    seconds = {name: value for name, value in steps.items() if name != "peak"}
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    return f"Built in {sum(seconds.values()):.1f} s: {parts}; peak memory {steps.get('peak', 0) / MB:.0f} MB"


def rejected(text: str) -> bytes:
    """The lines that end a failed build, after its own output."""
    return f" !     {text}\n !\n !     Push rejected, the build failed.\n".encode()


def notice(*lines: str) -> bytes:
    """What the platform says to a pusher beside the output of the build."""
    return "".join(f" !     {line}\n" for line in lines).encode()
