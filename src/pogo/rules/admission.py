"""Whether a build may start now: the running apps come first."""

from __future__ import annotations

from dataclasses import dataclass

MB = 1 << 20
PRESSURE_MAX = 10.0  # percent of the last 10 s in which some process waited for memory
MEMORY_MIN = 256 * MB
DISK_RESERVE = 256 * MB


@dataclass(frozen=True)
class Machine:
    """pressure: PSI's `some avg10` of memory in percent, None where the kernel has none. memory: bytes available
    without swapping, and in all. disk: bytes free."""

    pressure: float | None
    memory: int
    memory_total: int
    disk: int


def short_of_memory(machine: Machine, limit: int) -> str:
    """Why a build that may use `limit` bytes has to wait; empty when it may start.

    With PSI the pressure decides; without, the whole limit has to be there, or half of a small machine.
    """
    if machine.pressure is not None and machine.pressure > PRESSURE_MAX:
        return f"The platform is short of memory (pressure {machine.pressure:.0f} %)."
    needed = MEMORY_MIN if machine.pressure is not None else min(limit, machine.memory_total // 2)
    if machine.memory < needed:
        return f"The platform is short of memory ({machine.memory // MB} MB are free, {needed // MB} MB are needed)."
    return ""


def disk_needed(source: int, slug_max: int, cache: int) -> int:
    """Bytes that have to be free for a build. source, cache: as they are stored; they are unpacked beside that."""
    return source + slug_max + 3 * cache + DISK_RESERVE


def short_of_disk(machine: Machine, needed: int) -> str:
    """Why a build cannot start; empty when it may."""
    if machine.disk >= needed:
        return ""
    free = f"{machine.disk // MB} MB are free, {needed // MB} MB are needed"
    return f"The platform has not enough space on its disk for a build ({free})."


def parse_pressure(text: str) -> float:
    """`some avg10` of a file of /proc/pressure, in percent."""
    return float(text.split("avg10=", 1)[1].split(" ", 1)[0])


def parse_memory(text: str) -> tuple[int, int]:
    """(available, total) bytes of /proc/meminfo."""
    values = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in text.splitlines())}
    return values["MemAvailable"], values["MemTotal"]
