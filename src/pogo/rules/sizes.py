"""Dyno sizes (Heroku's names and memory) and stacks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pogo.errors import InvalidParams

MB = 1 << 20


@dataclass(frozen=True)
class Size:
    """memory: bytes, the quota; shares: relative CPU weight; pids: processes and threads (Heroku: 256, 512, 16384,
    32768); cpu: the most that it gets, in per cent of one CPU, 0 for what there is."""

    name: str
    memory: int
    shares: int
    pids: int
    cpu: int = 0

    @property
    def most_memory(self) -> int:
        """Bytes at which a dyno is killed (Heroku: R15 at twice the quota; above the quota, R14 only warns)."""
        return 2 * self.memory

    @property
    def compute(self) -> int:
        return max(1, self.shares // 256)


HEROKU = (
    Size("Eco", 512 * MB, 128, 256),
    Size("Basic", 512 * MB, 256, 256),
    Size("Standard-1X", 512 * MB, 256, 256),
    Size("Standard-2X", 1024 * MB, 512, 512),
    Size("Performance-M", 2560 * MB, 3072, 16384),
    Size("Performance-L", 14336 * MB, 6144, 32768),
)
SIZES = {size.name.lower(): size for size in HEROKU}
DEFAULT_SIZE = "Basic"
MAX_DYNOS = 100


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,29}")
_BOUNDS = {
    "memory": (16, 1 << 20),
    "weight of CPU": (2, 1 << 18),
    "number of processes": (8, 1 << 22),
    "limit of CPU": (1, 100_000),
}


def parse_sizes(text: str) -> list[Size]:
    """The operator's sizes: `name:MB:weight:processes[:per cent of one CPU]`, separated by commas.

    Raises ValueError, which says what is wrong with which of them.
    """
    found: dict[str, Size] = {}
    for entry in (part.strip() for part in text.split(",")):
        if not entry:
            continue
        name, *numbers = entry.split(":")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a size: 1 to 30 letters, digits and -, beginning with a letter")
        if len(numbers) not in (3, 4):
            raise ValueError(
                f"{entry!r} is not of the form name:MB:weight:processes or name:MB:weight:processes:percent"
            )
        if name.lower() in found:
            raise ValueError(f"the size {name} is there twice")
        values = []
        for number, (what, (least, most)) in zip(numbers, _BOUNDS.items(), strict=False):
            if not re.fullmatch(r"\d{1,9}", number) or not least <= int(number) <= most:
                raise ValueError(f"the {what} of {name} has to be a number from {least} to {most}, not {number!r}")
            values.append(int(number))
        memory, *rest = values
        found[name.lower()] = Size(name, memory * MB, *rest)
    return list(found.values())


def offer(own: Iterable[Size]) -> None:
    """Heroku's sizes and the operator's, which win: what this process offers from now on. Called at its start."""
    SIZES.clear()
    SIZES.update({size.name.lower(): size for size in (*HEROKU, *own)})


def find_size(name: str) -> Size:
    """The size by its name in any letter case; InvalidParams lists the known ones."""
    try:
        return SIZES[name.lower()]
    except KeyError:
        known = ", ".join(size.name for size in SIZES.values())
        raise InvalidParams(f"No such size as {name}. Available sizes: {known}.") from None


@dataclass(frozen=True)
class Stack:
    """name: ours; buildpack_stack: the value of STACK that buildpacks know (contract, section 3)."""

    name: str
    title: str
    buildpack_stack: str


STACKS = {
    stack.name: stack for stack in (Stack("pogo-13", "Pogo-13", "heroku-24"), Stack("pogo-12", "Pogo-12", "heroku-22"))
}


def find_stack(name: str) -> Stack:
    """A stack by our name or by Heroku's (`heroku-24` is `pogo-13` here)."""
    for stack in STACKS.values():
        if name in (stack.name, stack.buildpack_stack):
            return stack
    raise InvalidParams(f"No such stack as {name}. Available stacks: {', '.join(STACKS)}.")
