"""The loops, over a real database and real files, with the double for containers and router."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pogo.containers.memory import MemoryContainers, Process
from pogo.errors import ContainerError
from pogo.logs.files import FileLogs
from pogo.logs.transcripts import Transcripts
from pogo.loops.builds import Builds
from pogo.loops.cleanup import Cleanup
from pogo.loops.dynos import Dynos
from pogo.loops.releases import Releases
from pogo.loops.routes import RouterLoop
from pogo.loops.turns import keep_turning
from pogo.model import App, User
from pogo.router.memory import MemoryRouter
from pogo.services import apps, builds, dynos, formation, people, releases
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
            server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", int(process.spec.env["PORT"]))
            try:
                await process.terminated.wait()
            finally:
                server.close()
        else:
            await process.terminated.wait()
        return 143

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
        works: list[Coroutine[Any, Any, None]] = [
            keep_turning(platform, "dynos", "here:1", dynos_loop.turn, 0.05),
            keep_turning(platform, "releases", "here:1", Releases(platform).turn, 0.05),
            keep_turning(platform, "router", "here:1", RouterLoop(platform).turn, 0.05),
            keep_turning(platform, "cleanup", "here:1", Cleanup(platform).turn, 0.05),
            Builds(platform).run(),
        ]
        self.tasks = [asyncio.create_task(work) for work in works]
        return dynos_loop

    async def kill(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def push(self, commit: str = "a" * 40) -> str:
        self.platform.store.put("sources/x.tar", [b"tar"])
        build = builds.start_build(self.platform.db, self.app, self.user, "sources/x.tar", commit)
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


pytestmark = pytest.mark.anyio


async def test_a_push_is_built_released_booted_and_routed(world: World) -> None:
    world.start()
    build = world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    compiled, packed, summary, launched, *_ = world.transcript(build).splitlines()
    assert (compiled, packed, launched) == ("-----> compile", "-----> pack", "-----> Launching...")
    assert re.fullmatch(
        r" {7}Built in \d\.\d s: compile \d\.\d s, pack \d\.\d s, store \d\.\d s; peak memory 0 MB", summary
    )
    assert "       Released v2" in world.transcript(build)
    router = world.platform.router
    assert isinstance(router, MemoryRouter)
    await world.until(lambda: router.answer("shop.localhost").startswith("web"))
    assert "app[web.1]: hello from web.1" in world.log()
    assert "heroku[web.1]: State changed from starting to up" in world.log()
    await world.until(lambda: len(world.containers.processes) == 1)
    assert not list(world.platform.store.list("sources/"))


async def test_a_killed_daemon_is_replaced_without_anyone_noticing(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    await world.until(lambda: "app[web.1]: hello from web.1" in world.log())
    await world.kill()
    (id,) = world.containers.processes
    world.containers.emit(id, b"said while nobody was there\n")
    world.start()
    await world.until(lambda: "app[web.1]: said while nobody was there" in world.log())
    assert list(world.containers.processes) == [id]
    assert world.log().count("app[web.1]: hello from web.1") == 1


async def test_a_build_is_taken_up_where_its_daemon_was_killed(world: World) -> None:
    world.hold.clear()
    world.start()
    build = world.push()
    await world.until(lambda: len(world.containers.processes) == 1)
    await world.kill()
    world.start()
    await asyncio.sleep(0.2)
    world.hold.set()
    await world.until(lambda: world.states() == {"web.1": "up"})
    assert world.transcript(build).count("-----> compile") == 1
    assert len(releases.list_releases(world.platform.db, world.app)) == 2


async def test_a_failed_build_changes_nothing(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    world.builder_status = 1
    build = world.push("b" * 40)
    db = world.platform.db
    await world.until(lambda: builds.find_build(db, world.app, build).status == "failed")
    await world.until(lambda: len(world.containers.processes) == 1)
    assert world.states() == {"web.1": "up"}
    assert len(releases.list_releases(db, world.app)) == 2
    assert not list(world.platform.store.list("sources/"))


@pytest.mark.parametrize(("status", "words"), [(3, "fault of the platform"), (137, "needs more than the 4096 MB")])
async def test_a_build_that_dies_says_why(world: World, status: int, words: str) -> None:
    world.builder_status = status
    world.start()
    build = world.push()
    await world.until(lambda: builds.find_build(world.platform.db, world.app, build).status == "failed")
    assert words in world.transcript(build)


async def test_a_boot_that_is_refused_is_a_crash_with_a_reason(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    world.containers.refuse = ContainerError("the stack image is missing")
    formation.scale(world.platform.db, world.app, [formation.Change("worker", "1")])
    await world.until(lambda: "heroku[worker.1]: The stack image is missing" in world.log())
    await world.until(lambda: world.states() == {"web.1": "up", "worker.1": "up"})  # the next try goes well


async def test_a_crash_is_recorded_with_its_last_output(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    [process] = [one for one in world.containers.processes.values() if one.spec.labels.get("dyno") == "web.1"]
    for number in range(9):
        process.emit(f"line {number}\n".encode())
    world.containers.end(process.spec.id, 139)

    def crash() -> dict[str, Any]:
        (row,) = dynos.list_dynos(world.platform.db, world.app)
        return row.crash or {"lines": []}

    await world.until(lambda: len(crash()["lines"]) == 5)
    assert crash()["lines"] == [f"line {number}" for number in range(4, 9)]
    assert (crash()["status"], crash()["signal"], crash()["code"]) == (139, "SIGSEGV", None)


async def test_a_port_that_is_never_bound_is_r10(world: World) -> None:
    world.silent_web = True
    world.start()
    world.push()
    await world.until(lambda: any("Error R10 (Boot timeout)" in line for line in world.log()))
    await world.until(lambda: "heroku[web.1]: State changed from starting to crashed" in world.log())


async def test_scaling_restarting_and_stopping(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    db = world.platform.db
    formation.scale(db, world.app, [formation.Change("web", "3")])
    await world.until(lambda: world.states() == {"web.1": "up", "web.2": "up", "web.3": "up"})
    before = set(world.containers.processes)
    dynos.retire(db, world.app, "replaced", name="web.2")
    await world.until(
        lambda: len(set(world.containers.processes) & before) == 2 and len(world.containers.processes) == 3
    )
    dynos.retire(db, world.app, "stopped", name="web.1")
    await world.until(lambda: world.states().get("web.1") == "down")
    formation.scale(db, world.app, [formation.Change("web", "0")])
    await world.until(lambda: not world.containers.processes and world.states() == {})


async def test_a_destroyed_app_leaves_nothing(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    apps.destroy_app(world.platform.db, world.app)
    await world.until(lambda: not world.containers.processes)
    await world.until(lambda: apps.destroyed_apps(world.platform.db) == [])
    assert not list(world.platform.store.list(""))


def deploy(world: World, types: dict[str, str]) -> releases.Release:
    """A release as a build makes it, without one."""
    db, app, user = world.platform.db, world.app, world.user
    assert isinstance(app, App)
    assert isinstance(user, User)
    world.platform.store.put("slugs/y", [b"SQS"])
    builds.start_build(db, app, user, "sources/y", None)
    build = builds.claim_build(db, "test")
    assert build
    release = builds.finish_build(db, build, builds.Built("slugs/y", "y" * 64, 3, types, "Python"))
    assert release
    return release


@pytest.mark.parametrize("status", [0, 7])
async def test_the_release_phase_runs_once_and_decides(world: World, status: int) -> None:
    first = deploy(world, {"web": "run web"})
    world.start()
    await world.until(lambda: world.states() == {"web.1": "up"})
    world.release_status = status
    second = deploy(world, {"web": "run web", "release": "migrate"})
    db = world.platform.db
    await world.until(lambda: releases.find_release(db, world.app, second.id).status != "pending")
    live = releases.current_release(db, world.app.id)
    assert live
    assert live.id == (second.id if status == 0 else first.id)
    assert world.transcript(second.id).startswith("hello from release.")
    assert sum("hello from release" in line for line in world.log()) == 1
    await world.until(lambda: world.states() == {"web.1": "up"})
