"""The loops, over a real database and real files, with the double for containers and router."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import loops_world
import pytest
from loops_world import World

from pogo.containers import ContainerSpec, Observed
from pogo.errors import ContainerError, Unavailable
from pogo.loops.booting import AT_ONCE
from pogo.model import App, User, utcnow
from pogo.router.memory import MemoryRouter
from pogo.rules import sizes
from pogo.services import apps, builds, dynos, formation, releases
from pogo.store.files import FileStore

pytestmark = pytest.mark.anyio
world = loops_world.world
anyio_backend = loops_world.anyio_backend


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
    await world.until(lambda: "app[web.1]: hello from web.1" in world.log())
    await world.until(lambda: "heroku[web.1]: State changed from starting to up" in world.log())
    await world.until(lambda: len(world.containers.processes) == 1)
    await world.until(lambda: not list(world.platform.store.list("sources/")))


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
    await world.until(lambda: not list(world.platform.store.list("sources/")))


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


class Away(FileStore):
    """Does not give one object, and takes its time to say so, until it is back."""

    missing = ""

    def local(self, key: str) -> Path:
        if key == self.missing:
            time.sleep(0.2)
            raise Unavailable("The object store at http://store does not answer.")
        return super().local(key)


async def test_a_boot_waits_for_the_store_and_others_do_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five dynos wait for one fetch; other apps boot meanwhile; the time to bind a port begins when it is there."""
    world.platform.settings.boot_timeout = 60
    away = world.platform.store = Away(world.platform.settings.state_dir / "store")
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    (away.missing,) = away.list("slugs/")
    formation.scale(world.platform.db, world.app, [formation.Change("web", "6")])
    line = "]: The platform's store for slugs fails: The object store at http://store does not answer."
    await world.until(lambda: len([text for text in world.log() if line in text]) == 5)
    other = apps.create_app(world.platform.db, world.user, "other", "pogo-13", 10)
    away.put("sources/other.tar", [b"tar"])
    builds.start_build(world.platform.db, other, world.user, "sources/other.tar", "b" * 40)
    world.platform.hints.wake("builds")
    await world.until(lambda: [one.state for one in dynos.list_dynos(world.platform.db, other)] == ["up"])
    waiting = [one for one in dynos.list_dynos(world.platform.db, world.app) if one.state == "starting"]
    assert len(waiting) == 5
    await world.until(lambda: utcnow() - max(one.state_at for one in waiting) > timedelta(seconds=AT_ONCE))

    begun = {}
    boot = world.containers.start

    async def start(spec: ContainerSpec) -> Observed:
        begun[spec.id] = next(
            one.state_at for one in dynos.list_dynos(world.platform.db, world.app) if one.container == spec.id
        )
        return await boot(spec)

    monkeypatch.setattr(world.containers, "start", start)
    back, away.missing = utcnow(), ""
    await world.until(lambda: set(world.states().values()) == {"up"})
    assert len([text for text in world.log() if line in text]) == 5, "it is told once"
    assert len(begun) == 5 and min(begun.values()) >= back


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


async def test_twice_the_memory_quota_is_r15(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    [process] = [one for one in world.containers.processes.values() if one.spec.labels.get("dyno") == "web.1"]
    assert (process.spec.limits.quota, process.spec.limits.memory) == (512 << 20, 1024 << 20)
    assert process.spec.env["MEMORY_AVAILABLE"] == "512"
    world.containers.end(process.spec.id, 137, oom=True)
    await world.until(lambda: "heroku[web.1]: Process exited with status 137" in world.log())
    log = [line for line in world.log() if line.startswith("heroku[web.1]")]
    at = log.index("heroku[web.1]: Process running mem=1024M(200.0%)")
    assert log[at + 1 : at + 4] == [
        "heroku[web.1]: Error R15 (Memory quota vastly exceeded)",
        "heroku[web.1]: Stopping process with SIGKILL",
        "heroku[web.1]: Process exited with status 137",
    ]
    (row,) = dynos.list_dynos(world.platform.db, world.app)
    assert row.crash is not None
    assert row.crash["code"] == "R15"
    await world.until(lambda: world.states() == {"web.1": "up"})
    assert sum("R15" in line for line in world.log()) == 1


async def test_a_dyno_of_a_size_that_is_no_more_says_so(world: World) -> None:
    sizes.offer(sizes.parse_sizes("tiny:64:128:64"))
    try:
        world.start()
        world.push()
        await world.until(lambda: world.states() == {"web.1": "up"})
        formation.scale(world.platform.db, world.app, [formation.Change("worker", "1", "tiny")])
        await world.until(lambda: world.states() == {"web.1": "up", "worker.1": "up"})
        sizes.offer(())
        [process] = [one for one in world.containers.processes.values() if one.spec.labels.get("dyno") == "worker.1"]
        world.containers.end(process.spec.id, 1)
        await world.until(lambda: any("[worker.1]: No such size as tiny." in line for line in world.log()))
    finally:
        sizes.offer(())


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
