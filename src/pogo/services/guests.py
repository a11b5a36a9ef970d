"""Keys with which somebody may log in to a dyno by SSH for a while, each under a name of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from pogo.errors import Forbidden, InvalidParams
from pogo.model import App, User
from pogo.services import access, inside
from pogo.services.database import Database
from pogo.services.inside import Inside

KEY_SECONDS = 3600
MOST = 1000


@dataclass
class _Guest:
    user: User
    app_id: str
    dyno: str
    key: bytes
    until: float


class Guests:
    """In memory: after a restart of pogod, the client's next command registers a new key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guests: dict[str, _Guest] = {}

    def invite(self, user: User, app: App, dyno: str, key: bytes) -> str:
        """The name to log in with, for `KEY_SECONDS` after its last use. key: an SSH public key, binary."""
        now = self._clock()
        for name, guest in [*self._guests.items()]:
            if guest.until < now:
                self._guests.pop(name, None)
        if len(self._guests) >= MOST:
            raise InvalidParams("Too many keys are registered. Try again in an hour, or use pogo ps:exec.")
        name = f"dyno-{secrets.token_hex(12)}"
        self._guests[name] = _Guest(user, app.id, dyno, key, now + KEY_SECONDS)
        return name

    def enter(self, db: Database, name: str, key: bytes) -> Inside:
        """The dyno. Forbidden for an unknown name or another key; else what `inside.enter` raises."""
        guest = self._guests.get(name)
        if guest is None or guest.until < self._clock() or guest.key != key:
            raise Forbidden("This key opens nothing, or not any more.")
        place = inside.enter(db, access.find_app(db, guest.user, guest.app_id), guest.dyno)
        guest.until = self._clock() + KEY_SECONDS
        return place
