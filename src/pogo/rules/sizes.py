"""Dyno sizes (Heroku's names and memory) and stacks."""

from __future__ import annotations

from dataclasses import dataclass

from pogo.errors import InvalidParams

MB = 1 << 20


@dataclass(frozen=True)
class Size:
    """memory: bytes; shares: relative CPU weight; pids: processes and threads (Heroku: 256, 512, 16384, 32768)."""

    name: str
    memory: int
    shares: int
    pids: int

    @property
    def compute(self) -> int:
        return max(1, self.shares // 256)


SIZES = {
    size.name.lower(): size
    for size in (
        Size("Eco", 512 * MB, 128, 256),
        Size("Basic", 512 * MB, 256, 256),
        Size("Standard-1X", 512 * MB, 256, 256),
        Size("Standard-2X", 1024 * MB, 512, 512),
        Size("Performance-M", 2560 * MB, 3072, 16384),
        Size("Performance-L", 14336 * MB, 6144, 32768),
    )
}
DEFAULT_SIZE = "Basic"
MAX_DYNOS = 100


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
