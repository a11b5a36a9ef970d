"""The loop of builds, over a real database and real files, with the double for containers."""

from __future__ import annotations

import asyncio

import loops_world
import pytest
from loops_world import World

from pogo.loops import pruning
from pogo.rules.admission import Machine
from pogo.services import apps, builds, people

pytestmark = pytest.mark.anyio
world = loops_world.world
anyio_backend = loops_world.anyio_backend


async def test_those_that_wait_are_told_their_place(world: World) -> None:
    world.hold.clear()
    world.start()
    people_ = [people.create_user(world.platform.db, f"u{n}@example.com") for n in range(4)]
    others = [apps.create_app(world.platform.db, user, f"app-{n}", "pogo-13", 10) for n, user in enumerate(people_)]
    ids = []
    for app, user in zip(others, people_, strict=True):
        world.platform.store.put(f"sources/{app.name}.tar", [b"tar"])
        ids.append(builds.start_build(world.platform.db, app, user, f"sources/{app.name}.tar", None).id)
        world.platform.hints.wake("builds")
        await asyncio.sleep(0.1)
    text = " !     All 2 build places are taken. This build is queued: it is "
    transcripts = world.platform.transcripts
    await world.until(lambda: transcripts.exists(ids[3]))
    assert world.transcript(ids[2]) == f"{text}next in the queue.\n"
    assert world.transcript(ids[3]) == f"{text}number 2 in the queue.\n"
    world.hold.set()
    await world.until(lambda: transcripts.finished(ids[3]))
    # Where both places become free at once, it is never the next.
    said = world.transcript(ids[3]).replace(f"{text}next in the queue.\n", "")
    assert said.startswith(f"{text}number 2 in the queue.\n-----> compile")


async def test_a_build_waits_for_memory_and_fails_without_space(world: World) -> None:
    world.start()
    loop = world.builds.admission
    loop.pause = 0.05
    loop.machine = lambda: Machine(50.0, 8 << 30, 16 << 30, 1 << 40)
    build = world.push()
    words = " !     The platform is short of memory (pressure 50 %). This build waits.\n"
    await world.until(lambda: world.platform.transcripts.exists(build))
    await asyncio.sleep(0.3)
    assert world.transcript(build) == words
    loop.machine = lambda: Machine(0.0, 8 << 30, 16 << 30, 1 << 40)
    await world.until(lambda: world.states() == {"web.1": "up"})
    assert world.transcript(build).startswith(f"{words}-----> compile")
    world.platform.store.put("caches/gone", [b"of an app that is no more"])
    loop.machine = lambda: Machine(0.0, 8 << 30, 16 << 30, 1 << 20)
    build = world.push("b" * 40)
    await world.until(lambda: world.platform.transcripts.finished(build))
    assert "not enough space on its disk for a build (1 MB are free," in world.transcript(build)
    assert list(world.platform.store.list("caches/")) == [f"caches/{world.app.id}"], "caches go first"
    assert world.states() == {"web.1": "up"}


async def test_what_was_written_while_it_waited_stays_before_what_is_collected_again(world: World) -> None:
    world.hold.clear()
    world.start()
    build = world.push()
    await world.until(lambda: len(world.containers.processes) == 1)
    waiting = world.push("b" * 40)
    await world.until(lambda: world.platform.transcripts.exists(waiting))
    await world.kill()
    world.hold.set()
    world.start()
    await world.until(lambda: world.platform.transcripts.finished(waiting))
    assert world.transcript(build).count("-----> compile") == 1
    assert world.transcript(waiting).count("must end first") == 1
    assert world.transcript(waiting).index("must end first") < world.transcript(waiting).index("-----> compile")


async def test_a_machine_that_goes_down_each_time_ends_the_build(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pogo.loops.builds.PAUSES", (0.05, 0.05))
    world.builder_status = -1
    world.start()
    build = world.push()
    await world.until(lambda: world.platform.transcripts.finished(build))
    assert world.transcript(build).count("its machine went down). It begins again") == 2
    assert "could not finish the build, in 3 attempts (its machine went down)." in world.transcript(build)
    assert not world.containers.processes


async def test_old_output_and_caches_of_idle_apps_go(world: World) -> None:
    world.start()
    build = world.push()
    await world.until(lambda: world.platform.transcripts.finished(build))
    await world.until(lambda: bool(list(world.platform.store.list("caches/"))))
    await world.kill()
    pruning.prune(world.platform)
    assert world.platform.transcripts.exists(build)
    world.platform.settings.keep_days = 0
    pruning.prune(world.platform)
    assert not world.platform.transcripts.exists(build)
    assert not list(world.platform.store.list("caches/"))
    assert len(list(world.platform.store.list("slugs/"))) == 1
