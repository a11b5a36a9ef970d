"""The pushes in progress in this process, and whose turn it is."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from dataclasses import dataclass, field

from pogo.errors import NotFound
from pogo.model import App, Build, User
from pogo.rules.git_refs import RefUpdate
from pogo.services.audit import Actor

SOURCES = "sources/push-"


@dataclass(eq=False)
class Push:
    """One `git receive-pack`. secret: known to its hook only. deploy: what is built, once that is decided.

    actor: for the audit record: the hook's own requests come from this machine.
    """

    app: App
    user: User
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    deploy: RefUpdate | None = None
    build: Build | None = None
    actor: Actor | None = None
    my_turn: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def source(self) -> str:
        """Key of the source archive in the object store."""
        return f"{SOURCES}{self.id}.tar"


class Pushes:
    """One deploying push per app at a time, from before its build until its refs are updated: else the
    branch could move under a push that waits, and git would refuse it after its build and release."""

    def __init__(self) -> None:
        self._pushes: dict[str, Push] = {}
        self._lines: dict[str, list[Push]] = {}

    def begin(self, app: App, user: User) -> Push:
        push = Push(app, user)
        self._pushes[push.id] = push
        return push

    def end(self, push: Push) -> None:
        self.give_turn(push)
        self._pushes.pop(push.id, None)

    def find(self, id: str, secret: str) -> Push:
        """NotFound also for a wrong secret."""
        push = self._pushes.get(id)
        if push is None or not hmac.compare_digest(push.secret.encode(), secret.encode()):
            raise NotFound("push")
        return push

    def ahead(self, app: App) -> int:
        """How many pushes of the app a new one would wait for."""
        return len(self._lines.get(app.id, ()))

    async def take_turn(self, push: Push) -> None:
        """Wait until all earlier pushes of the app have given theirs."""
        line = self._lines.setdefault(push.app.id, [])
        line.append(push)
        if line[0] is push:
            push.my_turn.set()
        await push.my_turn.wait()

    def give_turn(self, push: Push) -> None:
        """Let the next one go on. Nothing happens where the push has no turn any more."""
        line = self._lines.get(push.app.id, [])
        if push in line:
            line.remove(push)
        if line:
            line[0].my_turn.set()
        else:
            self._lines.pop(push.app.id, None)
