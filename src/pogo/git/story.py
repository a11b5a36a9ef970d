"""What a pusher sees of a deploy: the build's output, the release phase, whether the new dynos came up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from pogo.model import App, Build, Release
from pogo.services import builds, dynos, formation, releases
from pogo.services.database import Database
from pogo.services.platform import Platform

PAUSE = 1.0
POLL = 0.1
BOOT_MARGIN = 15.0


def warning(*lines: str) -> bytes:
    """Heroku's form of a warning or an error."""
    return "".join(f" !     {line}\n" for line in lines).encode()


async def of_build(platform: Platform, build: Build) -> AsyncIterator[bytes]:
    """How to do without this terminal, and its output until it has ended; from the beginning.

    Why it waits is in its output: loops.builds. Nothing can be shown once Ctrl-C has ended the pusher's git.
    """
    number = await platform.call(builds.build_number, build)
    named = f"{number} -a {build.app.name}"
    hint = f"Build {number}. Ctrl-C leaves it running: pogo builds:output {named}, pogo builds:cancel {named}"
    yield f"       {hint}\n".encode()

    async def look() -> bytes | None:
        row = await platform.call(builds.get_build, build.id)
        return None if row is None or row.status != "pending" else b""

    async for piece in _output(platform, build.id, look):
        yield piece


async def of_launch(platform: Platform, app: App, release: Release) -> AsyncIterator[bytes]:
    """The release phase, if there is one, and then the boot of the new web dynos."""
    if release.slug and releases.RELEASE_TYPE in release.slug.process_types:
        yield b"\nRunning release command...\n\n"

        async def look() -> bytes | None:
            row = await platform.call(releases.get_release, release.id)
            return b"" if row and row.status == "pending" else None

        async for piece in _output(platform, release.id, look):
            yield piece
    row = await platform.call(releases.get_release, release.id)
    if row is None or row.status == "failed":
        serving = await platform.call(releases.current_release, app.id)
        still = f"v{serving.version} goes on serving" if serving and serving.slug_id else "nothing is deployed"
        yield warning(
            f"Release command failed: v{release.version} was not released; {still}.",
            f"See: pogo logs -a {app.name}",
        )
        return
    async for piece in _verify(platform, app, release):
        yield piece


async def _verify(platform: Platform, app: App, release: Release) -> AsyncIterator[bytes]:
    yield b"\nVerifying deploy..."
    clock = asyncio.get_running_loop().time
    wait = platform.settings.boot_timeout + BOOT_MARGIN
    deadline = clock() + wait
    while True:
        up, problem = await platform.call(_boot, app, release)
        if problem is None and not up and clock() > deadline:
            problem = f"The web dynos of v{release.version} did not come up within {wait:.0f} s."
        if problem:
            yield b" failed.\n" + warning(problem, f"See: pogo logs -a {app.name}")
            return
        if up:
            yield b" done.\n"
            return
        await asyncio.sleep(POLL)


def _boot(db: Database, app: App, release: Release) -> tuple[bool, str | None]:
    """Whether the web dynos of this release (or a later one) are all up, and what went wrong."""
    wanted = sum(view.row.quantity for view in formation.list_formation(db, app) if view.row.type == "web")
    up = 0
    for dyno in dynos.list_dynos(db, app):
        if dyno.kind != "formation" or dyno.type != "web" or dyno.release.version < release.version:
            continue
        if dyno.state == "crashed" or (dyno.state == "starting" and dyno.restarts):
            return False, f"{dyno.name} of v{release.version} crashed."
        up += dyno.state in ("up", "down", "idle")
    return up >= wanted, None


async def _output(
    platform: Platform, id: str, look: Callable[[], Awaitable[bytes | None]]
) -> AsyncGenerator[bytes, None]:
    """A transcript until its end. look: called in pauses, gives words to add, or None once all is over:
    what a killed daemon left, or a destroyed app, has a transcript that nobody finishes."""
    offset, over = 0, False
    while not over:
        async for piece in _with_pauses(platform.transcripts.follow(id, offset)):
            if piece is not None:
                offset += len(piece)
                yield piece.replace(b"\0", b"")  # NUL is the hook's mark
            elif over:
                return
            elif (words := await look()) is None:
                over = True
            else:
                yield words
        if not over and await look() is not None:
            await asyncio.sleep(PAUSE)  # begun again, by the next daemon
        else:
            over = True


async def _with_pauses(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes | None, None]:
    """The pieces of a stream, and None whenever none came for PAUSE seconds."""

    async def next_piece() -> bytes | None:
        return await anext(stream, None)

    step = asyncio.create_task(next_piece())
    try:
        while True:
            done, _ = await asyncio.wait({step}, timeout=PAUSE)
            if not done:
                yield None
                continue
            piece = step.result()
            if piece is None:
                return
            yield piece
            step = asyncio.create_task(next_piece())
    finally:
        step.cancel()
