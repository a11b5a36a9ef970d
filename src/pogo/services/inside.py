"""Going into a dyno that runs: which one, as whom, with what environment, and the secrets that open it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pogo.errors import InvalidParams
from pogo.model import App
from pogo.rules import launch, sizes
from pogo.rules.features import EXEC, is_on
from pogo.services import audit, dynos
from pogo.services.database import Database

SECRET_SECONDS = 60
T = TypeVar("T")


@dataclass(frozen=True)
class Inside:
    """A running dyno. env: what a process of its has; address: where its ports are."""

    app_id: str
    dyno: str
    container: str
    address: str
    env: Mapping[str, str]


def enter(db: Database, app: App, dyno_name: str, env: Mapping[str, str] | None = None) -> Inside:
    """The dyno by its name or id; who goes in is on record.

    NotFound: there is none; InvalidParams: it is not up, or the app forbids it.
    """
    if not is_on(EXEC, app.features):
        raise InvalidParams(
            f"Nobody may go into the dynos of {app.name}: the feature {EXEC} is off."
            f" Switch it on with features:enable {EXEC}."
        )
    dyno = dynos.find_dyno(db, app, dyno_name)
    if dyno.state not in ("up", "starting") or not dyno.container or not dyno.address:
        raise InvalidParams(f"{dyno.name} is {dyno.state}. It has to be up; see ps and logs.")
    own = launch.environment(
        dyno.release.config, {**dyno.env, **(env or {})}, dyno.name, dyno.port, sizes.find_size(dyno.size).memory
    )
    with db.write() as session:
        audit.tell(session, "dynos", dyno.id, "enter", [dyno.name])
    return Inside(app.id, dyno.name, dyno.container, dyno.address, own)


def names_inside(db: Database, app: App) -> list[str]:
    """The dynos that can be gone into."""
    if not is_on(EXEC, app.features):
        return []
    found = dynos.list_dynos(db, app)
    return [dyno.name for dyno in found if dyno.state in ("up", "starting") and dyno.container and dyno.address]


@dataclass(frozen=True)
class Opening(Generic[T]):
    """What a secret opens. tty: whether that has a terminal."""

    open: Callable[[], Awaitable[T]]
    tty: bool


class Openings(Generic[T]):
    """Secrets that open something, each once and within `SECRET_SECONDS`.

    In memory: whoever holds one when pogod ends asks for another.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offers: dict[str, tuple[float, Opening[T]]] = {}

    def offer(self, opening: Opening[T]) -> str:
        now = self._clock()
        for secret, (until, _) in [*self._offers.items()]:
            if until < now:
                self._offers.pop(secret, None)
        secret = secrets.token_urlsafe(24)
        self._offers[secret] = now + SECRET_SECONDS, opening
        return secret

    def take(self, secret: str) -> Opening[T] | None:
        until, opening = self._offers.pop(secret, (0.0, None))
        return opening if until >= self._clock() else None
