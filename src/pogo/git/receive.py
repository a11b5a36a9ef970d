"""The daemon's side of the git hook: `/internal/pushes/<id>/…`, for who has the push's secret.

An answer is text for the pusher, sent as it comes, then NUL and what the hook does: `exit <status>`
or `archive <commit>`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pogo.errors import NotFound, PogoError
from pogo.git import story
from pogo.git.pushes import SOURCES, Push, Pushes
from pogo.git.repositories import Repositories
from pogo.model import Build
from pogo.rules import git_refs
from pogo.services import access, audit, builds, releases, sources
from pogo.services.platform import Platform

log = structlog.get_logger()
MAX_UPDATES = 16 << 20  # bytes: about 100,000 refs

Endpoint = Callable[[Request, Push], Awaitable[Response]]


class Receiver:
    """pushes: those in progress, which `bridge` begins and ends."""

    def __init__(self, platform: Platform, repositories: Repositories, pushes: Pushes) -> None:
        self.platform = platform
        self.repositories = repositories
        self.pushes = pushes

    def routes(self) -> list[Route]:
        endpoints = {"refs": self._refs, "source": self._source, "done": self._done}
        return [
            Route(f"/internal/pushes/{{id}}/{name}", self._guarded(endpoint), methods=["POST"])
            for name, endpoint in endpoints.items()
        ]

    def sweep(self) -> int:
        """Delete sources whose daemon was killed before it queued their build; returns how many."""
        keys = list(self.platform.store.list(SOURCES))
        orphans = sources.not_waited_for(self.platform.db, keys) if keys else set()
        for key in orphans:
            self.platform.store.delete(key)
        return len(orphans)

    def _guarded(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            secret = request.headers.get("authorization", "").removeprefix("Bearer ")
            try:
                push = self.pushes.find(request.path_params["id"], secret)
            except NotFound as error:
                return PlainTextResponse(error.message + "\n", error.status)
            return await endpoint(request, push)

        return respond

    async def _refs(self, request: Request, push: Push) -> Response:
        updates = bytearray()
        async for chunk in request.stream():
            updates += chunk
            if len(updates) > MAX_UPDATES:
                return PlainTextResponse("Too many refs.\n", 413)
        return _told(self._decide(push, git_refs.parse(bytes(updates))))

    async def _decide(self, push: Push, updates: list[git_refs.RefUpdate]) -> AsyncIterator[bytes]:
        decision = git_refs.decide(updates)
        yield story.warning(*decision.notes, *decision.refusal)
        if decision.refusal or decision.deploy is None:
            yield _end("exit", 1 if decision.refusal else 0)
            return
        push.deploy = decision.deploy
        app, branch = push.app, decision.deploy.branch
        assert branch
        if ahead := self.pushes.ahead(app):
            others = "Another push" if ahead == 1 else f"{ahead} other pushes"
            yield story.warning(f"{others} to {app.name} must end first: a build is running. This one waits.")
        await self.pushes.take_turn(push)
        now = await asyncio.to_thread(self.repositories.branch, app.id, branch)
        if refusal := git_refs.moved(decision.deploy, now):
            yield story.warning(*refusal)
            yield _end("exit", 1)
            return
        push.build = await self._interrupted_build(push)
        if push.build is None:
            yield _end("archive", decision.deploy.new)
            return
        if push.build.status == "succeeded":
            yield story.warning("An earlier push of this commit was interrupted, but its build has succeeded.")
            yield _end("exit", 0)
            return
        yield story.warning("An earlier push of this commit was interrupted. Its build goes on; this is its output:")
        async for piece in self._watch(push, push.build):
            yield piece

    async def _interrupted_build(self, push: Push) -> Build | None:
        """The build of this commit whose push ended before it: unfinished, or the app's last one and released."""
        assert push.deploy
        made = await self.platform.call(builds.list_builds, push.app)
        same = [one for one in made if one.source_version == push.deploy.new and one.source.startswith(SOURCES)]
        for build in same:
            if build.status == "pending":
                return build
        if same and same[-1] is made[-1] and same[-1].status == "succeeded":
            release = await self.platform.call(releases.latest_release, push.app.id)
            if release.slug_id == same[-1].slug_id and release.status != "failed":
                return same[-1]
        return None

    async def _source(self, request: Request, push: Push) -> Response:
        """Store the archive and queue the build; when either fails, nothing is left."""
        platform, deploy = self.platform, push.deploy
        if deploy is None or push.build is not None:
            return PlainTextResponse("This push has nothing to build.\n", 409)
        body = _Body(request)
        try:
            await platform.ask_store(platform.store.put, push.source, body.chunks())
            app = await platform.call(access.find_app, push.user, push.app.id)
            with audit.acting(push.actor):
                push.build = await platform.call(builds.start_build, app, push.user, push.source, deploy.new)
        except PogoError as error:
            await body.discard()
            return _told(_refused(error))
        except ClientDisconnect:
            return PlainTextResponse("The source is not complete.\n", 400)
        finally:
            if push.build is None:
                await self._let_go(push.source)
        platform.hints.wake("builds")
        return _told(self._watch(push, push.build))

    async def _let_go(self, source: str) -> None:
        try:
            await self.platform.ask_store(self.platform.store.delete, source)
        except PogoError as error:  # the pusher hears what went wrong first; `sweep` deletes it at the next start
            log.warning("the source of no build is left in the store", key=source, error=error.message)

    async def _watch(self, push: Push, build: Build) -> AsyncIterator[bytes]:
        told = b""
        async for piece in story.of_build(self.platform, build):
            told = (told + piece)[-200:]
            yield piece
        ended = await self.platform.call(builds.get_build, build.id)
        if ended is None or ended.status != "succeeded":
            if ended is None or ended.failure is None:
                yield story.warning(f"Push rejected: {push.app.name} was destroyed meanwhile.")
            elif b"Push " not in told:  # the build's last words found no room on a full disk
                yield story.warning(ended.failure, "Push rejected, the build failed.")
            yield _end("exit", 1)
            return
        push.build = ended
        yield _end("exit", 0)

    async def _done(self, request: Request, push: Push) -> Response:
        """The refs are updated: the next push may come, while this one sees its app boot."""
        self.pushes.give_turn(push)
        await _Body(request).discard()
        return _told(self._launch(push))

    async def _launch(self, push: Push) -> AsyncIterator[bytes]:
        release_id = push.build.release_id if push.build else None
        release = await self.platform.call(releases.get_release, release_id) if release_id else None
        if release:
            async for piece in story.of_launch(self.platform, push.app, release):
                yield piece
        yield _end("exit", 0)


def _told(pieces: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(_or_error(pieces), media_type="application/octet-stream")


async def _or_error(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            if piece:
                yield piece
    except PogoError as error:
        log.warning("push not received", error=error.message)
        async for piece in _refused(error):
            yield piece


async def _refused(error: PogoError) -> AsyncIterator[bytes]:
    yield story.warning(f"Push rejected: {error.message}")
    yield _end("exit", 1)


def _end(verb: str, word: str | int) -> bytes:
    return f"\0{verb} {word}\n".encode()


class _Body:
    """A request's body for a thread to read: one chunk in memory at a time."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._complete = False

    def chunks(self) -> Iterator[bytes]:
        """Raises ClientDisconnect when the body is cut short."""
        while not self._complete:
            yield asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()

    async def discard(self) -> None:
        """Read the rest: the hook reads the answer only when it has sent everything."""
        while not self._complete:
            await self._next()

    async def _next(self) -> bytes:
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._complete = not message.get("more_body", False)
        return bytes(message.get("body", b""))
