"""Readiness and liveness: the settings, and the loops over the doubles."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import loops_world
import pytest
from loops_world import World

from pogo.errors import InvalidParams
from pogo.model import App, Dyno, utcnow
from pogo.router.memory import MemoryRouter
from pogo.rules import checks
from pogo.rules.checks import Checks
from pogo.services import dynos, formation

anyio_backend = loops_world.anyio_backend
world = loops_world.world


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"live_path": "health"}, "live_path must be a path such as /health"),
        ({"ready_path": "/two words"}, "without blanks"),
        ({"ready_path": "/\r\nHost: x"}, "without blanks"),
        ({"ready_path": "/" + "x" * 500}, "not be longer than 500"),
        ({"live_period": 0.5}, "live_period must be from 1 to 3600, not 0.5"),
        ({"live_timeout": 0}, "live_timeout must be from 0.1 to 60"),
        ({"live_failures": 101}, "live_failures must be from 1 to 100"),
        ({"live_period": float("nan")}, "live_period must be from"),
        ({"live_period": 3}, r"live_timeout \(5 s\) must not be longer than live_period \(3 s\)"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidParams, match=words):
        checks.change(Checks(), changes)


def test_only_what_differs_from_the_defaults_is_kept() -> None:
    changed = checks.change(Checks(), {"live_path": "/live", "live_period": 30, "live_failures": 3})
    assert changed.kept() == {"live_path": "/live", "live_period": 30}
    assert checks.stored(changed.kept()) == changed
    assert checks.change(changed, {"live_path": None, "live_period": None}) == Checks()
    assert checks.stored({"of": "a later version"}) == Checks()


@pytest.mark.parametrize(("status", "well"), [(200, True), (204, True), (302, True), (404, False), (503, False)])
def test_2xx_and_3xx_are_good_answers(status: int, well: bool) -> None:
    assert checks.fault("/live", status) == ("" if well else f"GET /live answered {status}")


def demand(world: World, **settings: Any) -> None:
    """Settings that users cannot have: a test has no seconds to wait for."""
    with world.platform.db.write() as session:
        session.get_one(App, world.app.id).checks = {"live_period": 0.05, "live_timeout": 2, **settings}


def heroku_lines(world: World) -> list[str]:
    return [line.partition(": ")[2] for line in world.log() if line.startswith("heroku[web.1]")]


def only_dyno(world: World) -> Dyno:
    (dyno,) = dynos.list_dynos(world.platform.db, world.app)
    return dyno


@pytest.mark.anyio
async def test_a_dyno_whose_path_does_not_answer_well_is_not_ready(world: World) -> None:
    demand(world, ready_path="/ready")
    world.health = 503
    world.start()
    world.push()
    await world.until(
        lambda: (
            "Error R10 (Boot timeout) -> Web process failed to answer the readiness check "
            "(GET /ready answered 503) within 1 seconds of launch" in heroku_lines(world)
        )
    )
    world.health = 200
    await world.until(lambda: world.states() == {"web.1": "up"}, 15)


@pytest.mark.anyio
@pytest.mark.parametrize(("health", "why"), [(500, "GET /live answered 500"), (0, "GET /live was not answered within")])
async def test_a_sick_dyno_is_unrouted_and_replaced(world: World, health: int, why: str) -> None:
    demand(world, live_path="/live", live_timeout=2 if health else 0.2)
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    router = world.platform.router
    assert isinstance(router, MemoryRouter)
    await world.until(lambda: router.answer("shop.localhost").startswith("web"))
    sick = router.answer("shop.localhost")
    router.begin(sick)  # a request that keeps it draining
    world.health = health
    await world.until(lambda: router.answer("shop.localhost") != sick)
    world.health = 200
    await world.until(lambda: router.answer("shop.localhost").startswith("web"))
    assert sick in world.containers.processes  # its request goes on
    assert only_dyno(world).container == router.answer("shop.localhost")
    router.finish(sick)
    await world.until(lambda: sick not in world.containers.processes)
    said = heroku_lines(world)
    first = next(
        number for number, text in enumerate(said) if text.startswith("Liveness check failed (1 of 3): " + why)
    )
    assert said[first + 2].startswith("Liveness check failed (3 of 3): " + why)
    last = next(text for text in said if text.endswith("; replacing the dyno"))
    assert re.match(rf"Liveness check failed \d+ times in a row: {why}", last)


@pytest.mark.anyio
async def test_a_path_that_never_answers_well_meets_growing_pauses_which_a_new_daemon_keeps(world: World) -> None:
    demand(world, live_path="/live")
    world.health = 404
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "crashed"} and only_dyno(world).restarts == 2)
    dyno = only_dyno(world)
    assert dyno.next_start is not None
    assert timedelta(0) < dyno.next_start - utcnow() < timedelta(seconds=6)
    assert dyno.crash is not None
    assert re.fullmatch(r"liveness check failed \d+ times in a row: GET /live answered 404", dyno.crash["reason"])
    await world.kill()
    world.start()
    await world.until(lambda: len(world.containers.processes) == 0)
    assert only_dyno(world).next_start == dyno.next_start
    assert (only_dyno(world).state, only_dyno(world).restarts) == ("crashed", 2)
    router = world.platform.router
    assert isinstance(router, MemoryRouter)
    await world.until(lambda: router.answer("shop.localhost") == "H10")


@pytest.mark.anyio
async def test_a_check_that_passes_again_forgets_the_failures(world: World) -> None:
    demand(world, live_path="/live", live_failures=1000)
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    world.health = 500
    await world.until(lambda: any("Liveness check failed (2 of 1000)" in text for text in heroku_lines(world)))
    world.health = 200
    await world.until(lambda: any("Liveness check passed after" in text for text in heroku_lines(world)))
    world.health = 500
    await world.until(lambda: sum("Liveness check failed (1 of 1000)" in text for text in heroku_lines(world)) == 2)
    assert world.states() == {"web.1": "up"}


@pytest.mark.anyio
async def test_only_web_dynos_that_serve_are_asked(world: World) -> None:
    demand(world, live_path="/live")
    loop = world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    formation.scale(world.platform.db, world.app, [formation.Change("worker", "1"), formation.Change("web", "2")])
    await world.until(lambda: world.states() == {"web.1": "up", "web.2": "up", "worker.1": "up"})
    await world.until(lambda: sorted(one.dyno.name for one in loop.liveness._watched.values()) == ["web.1", "web.2"])
    demand(world)
    await world.until(lambda: not loop.liveness._watched)


@pytest.mark.anyio
async def test_the_pause_after_crashes_outlives_the_daemon(world: World) -> None:
    world.start()
    world.push()
    await world.until(lambda: world.states() == {"web.1": "up"})
    for crashes in (1, 2):
        await world.until(lambda: world.states() == {"web.1": "up"})
        world.containers.end(str(only_dyno(world).container), 1)
        await world.until(lambda count=crashes: only_dyno(world).restarts == count)
    before = only_dyno(world)
    assert before.next_start is not None
    assert before.next_start > utcnow()
    await world.kill()
    world.start()
    await world.until(lambda: not world.containers.processes)
    after = only_dyno(world)
    assert (after.state, after.restarts, after.next_start) == ("crashed", 2, before.next_start)
    with world.platform.db.write() as session:  # the pause is over
        session.get_one(Dyno, after.id).next_start = utcnow()
    await world.until(lambda: world.states() == {"web.1": "up"})
    world.containers.end(str(only_dyno(world).container), 1)
    await world.until(lambda: only_dyno(world).restarts == 3)
