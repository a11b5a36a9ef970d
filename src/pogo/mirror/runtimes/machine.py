"""Names of this machine's processor, and of the stacks that stand for Heroku's."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from pogo.mirror import CannotMake
from pogo.rules.sizes import STACKS

_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
_NODE = {"x86_64": "x64", "aarch64": "arm64"}


def debian_arch() -> str:
    """As Debian, Go and Heroku call it: `amd64`, `arm64`."""
    return _DEBIAN.get(platform.machine(), platform.machine())


def node_arch() -> str:
    """As Node.js calls it: `x64`, `arm64`."""
    return _NODE.get(platform.machine(), platform.machine())


def stack_for(heroku: str, installed: Iterable[str]) -> str:
    """The installed stack whose builds say STACK=`heroku` (`heroku-24`). Raises CannotMake."""
    found = [name for name in installed if name in STACKS and STACKS[name].buildpack_stack == heroku]
    if not found:
        raise CannotMake(f"No stack that stands for {heroku} is installed here.")
    return found[0]
