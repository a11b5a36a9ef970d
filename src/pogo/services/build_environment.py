"""The environment of a build that is the operator's: registries and certificates, and the way through the mirror."""

from __future__ import annotations

import time

from pogo.rules import addresses, build_passes
from pogo.rules.build_passes import Visitor
from pogo.settings import Settings

GRACE_SECONDS = 3600  # a build waits, is stopped and cleaned up within its time limit and this


def build_environment(settings: Settings, app: str, build: str) -> dict[str, str]:
    """app: its name. build: its id. Reads files: call it in a thread.

    Where there is a mirror, it takes the place of the operator's own proxy, through which it goes itself.
    """
    found = settings.build_environment()
    if settings.mirror == "off":
        return found
    key = mirror_key(settings)
    expires = int(time.time()) + settings.build_timeout + GRACE_SECONDS
    credentials = build_passes.issue(key, Visitor(app, build), expires)
    return {**found, **build_passes.variables(addresses.GATEWAY, settings.mirror_port, credentials)}


def mirror_key(settings: Settings) -> bytes:
    """With which pogod signs and the mirror checks the passes of builds."""
    return (settings.state_dir / "keys" / "mirror.key").read_bytes().strip()
