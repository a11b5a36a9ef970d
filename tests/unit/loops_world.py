"""A platform for tests of the loops: a real database and real files, the double for containers and router.

A test module takes the fixtures by `world = loops_world.world` and `anyio_backend = loops_world.anyio_backend`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import threads
from pogo.containers.memory import MemoryContainers, Process
from pogo.logs.files import FileLogs
from pogo.logs.transcripts import Transcripts
from pogo.loops.builds import Builds
from pogo.loops.cleanup import Cleanup
from pogo.loops.dynos import Dynos
from pogo.loops.releases import Releases
from pogo.loops.routes import RouterLoop
from pogo.loops.turns import Leases, keep_turning
from pogo.router.memory import MemoryRouter
from pogo.services import apps, builds, dynos, people
from pogo.services.database import Database
from pogo.services.platform import Platform
from pogo.settings import Settings
from pogo.store.files import FileStore


class World:
    """A platform whose processes are scripted; a daemon on it can be killed and started again."""

    def __init__(self, db: Database, directory: Path) -> None:
        self.builder_status = 0
        self.release_status = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.silent_web = False
        self.health = 200  # what web processes answer a check with; 0: nothing
        self.tasks: list[asyncio.Task[None]] = []
        settings = Settings(state_dir=directory, boot_timeout=1, stop_grace=0.5)
        settings.tmp_dir.mkdir()
        self.platform = Platform(
            settings=settings,
            db=db,
            store=FileStore(directory / "store"),
            logs=FileLogs(directory / "logs", 1000),
            transcripts=Transcripts(directory / "transcripts"),
            containers=MemoryContainers(self.behave),
            router=MemoryRouter(),
            node="here",
        )
        self.containers.addresses += ["127.0.0.1"] * 1000
        self.user = people.create_user(db, "ann@example.com")
        self.app = apps.create_app(db, self.user, "shop", "pogo-13", 10)

    @property
    def containers(self) -> MemoryContainers:
        assert isinstance(self.platform.containers, MemoryContainers)
        return self.platform.containers

    async def behave(self, process: Process) -> int:
        labels = process.spec.labels
        if labels["kind"] == "build":
            return await self.build(process)
        process.emit(f"hello from {labels['dyno']}\n".encode())
        if "release" in labels:
            return self.release_status
        if "PORT" in process.spec.env and labels["dyno"].startswith("web") and not self.silent_web:
            server = await asyncio.start_server(self.answer, "127.0.0.1", int(process.spec.env["PORT"]))
            try:
                await process.terminated.wait()
            finally:
                server.close()
        else:
            await process.terminated.wait()
        return 143

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Some HTTP; a connection that asks for nothing is only taken."""
        if await reader.readline():
            if not self.health:
                await reader.read()
            else:
                writer.write(b"HTTP/1.1 %d So\r\nContent-Length: 0\r\n\r\n" % self.health)
        writer.close()

    async def build(self, process: Process) -> int:
        step = process.spec.command[-1]
        process.emit(f"-----> {step}\n".encode())
        await self.hold.wait()
        if step == "pack":
            types = {"web": "run web", "worker": "run worker"}
            if self.release_status >= 0 and "release" in process.spec.labels["app"]:
                types["release"] = "migrate"
            result = {"checksum": "c" * 64, "size": 3, "process_types": types, "detected": "Python", "buildpacks": []}
            process.outputs |= {
                "slug.squashfs": b"SQS",
                "cache.tar.zst": b"ZST",
                "result.json": json.dumps(result).encode(),
            }
        return self.builder_status

    def start(self) -> Dynos:
        """A new daemon: nothing in memory."""
        platform = self.platform
        builds.drop_claims(platform.db, "here")
        dynos_loop = Dynos(platform)
        self.builds = Builds(platform)
        held = Leases(platform, "here:1")
        works: list[Coroutine[Any, Any, None]] = [
            keep_turning(held, "dynos", dynos_loop.turn, 0.05),
            keep_turning(held, "liveness", dynos_loop.liveness.turn, 0.05),
            keep_turning(held, "releases", Releases(platform).turn, 0.05),
            keep_turning(held, "router", RouterLoop(platform).turn, 0.05),
            keep_turning(held, "cleanup", Cleanup(platform).turn, 0.05),
            self.builds.run(),
        ]
        self.threads = threads.begin(self.platform)
        self.tasks = [asyncio.create_task(work) for work in works]
        return dynos_loop

    async def kill(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.tasks:
            await threads.end(self.platform, self.threads)

    def push(self, commit: str = "a" * 40) -> str:
        source = f"sources/{secrets.token_hex(4)}.tar"
        self.platform.store.put(source, [b"tar"])
        build = builds.start_build(self.platform.db, self.app, self.user, source, commit)
        self.platform.hints.wake("builds")
        return build.id

    async def until(self, condition: Callable[[], bool], seconds: float = 8) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)

    def states(self) -> dict[str, str]:
        return {dyno.name: dyno.state for dyno in dynos.list_dynos(self.platform.db, self.app)}

    def log(self) -> list[str]:
        recent = self.platform.logs.recent(self.app.id, 1000)
        return [f"{line.source}[{line.dyno}]: {line.text}" for _, line in recent]

    def transcript(self, id: str) -> str:
        assert isinstance(self.platform.transcripts, Transcripts)
        return self.platform.transcripts.read(id).decode()


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[World]:
    made = World(db, tmp_path)
    made.platform.hints.bind(asyncio.get_running_loop())
    yield made
    await made.kill()
    for id in list(made.containers.processes):
        await made.containers.remove(id)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
