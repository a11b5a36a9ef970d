"""The plan for an app's dynos, in a small simulated world: deploys, scaling, crashes, what ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from formation_world import START, World, running
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import formation as rules
from pogo.rules.formation import Bounds, DynoState, Seen, plan, rest


def test_a_formation_comes_up_and_then_nothing_happens() -> None:
    world = running(web=2, worker=1)
    assert world.up() == ["r1:web.1", "r1:web.2"]
    assert world.up("worker") == ["r1:worker.1"]
    assert world.turn() == []


def test_a_deploy_boots_beside_and_then_drains() -> None:
    world = running(web=2)
    world.release = "r2"
    serving = []
    for _ in range(60):
        world.turn()
        serving.append(len(world.up()))
    assert min(serving) >= 2
    assert world.up() == ["r2:web.1", "r2:web.2"]
    assert len(world.dynos) == 2
    assert len(world.seen) == 2


@pytest.mark.parametrize("fault", ["bad", "fragile"])
def test_a_release_that_never_comes_up_leaves_the_old_one_serving(fault: str) -> None:
    world = running(web=2)
    world.release = "r2"
    getattr(world, fault).add("r2")
    world.settle(600)
    assert [name for name in world.up() if name.startswith("r1")] == ["r1:web.1", "r1:web.2"]
    crashes = [step for step in world.log if isinstance(step, rules.Crash)]
    assert crashes
    world.release = "r3"
    world.settle()
    assert world.up() == ["r3:web.1", "r3:web.2"]
    assert len(world.dynos) == len(world.seen) == 2


def test_boot_timeout_is_r10() -> None:
    world = World(bad={"r1"})
    world.scale(web=1)
    world.settle(70)
    stops = [step for step in world.log if isinstance(step, rules.Stop)]
    assert [(stop.code, stop.grace) for stop in stops] == [("R10", 0)]


def test_crashes_pause_longer_and_longer_up_to_a_bound() -> None:
    world = World(fragile={"r1"})
    world.scale(worker=1)
    # The process ends before it is seen to be up.
    for _ in range(8000):
        world.turn()
    pauses = [step.pause for step in world.log if isinstance(step, rules.Crash)]
    assert pauses[:6] == [0, 5, 15, 30, 60, 120]
    assert max(pauses) == 1200
    assert pauses == sorted(pauses)


def test_a_dyno_that_was_steady_restarts_at_once() -> None:
    world = running(web=1)
    (dyno,) = world.dynos.values()
    world.dynos[dyno.id] = replace(dyno, restarts=7)
    world.turn(600)
    assert dyno.container
    world.seen[dyno.container] = Seen(1, collected=True)
    (crash,) = world.turn()
    assert isinstance(crash, rules.Crash)
    assert (crash.restarts, crash.pause) == (1, 0)


def test_output_is_collected_before_a_container_goes() -> None:
    world = running(worker=1)
    (dyno,) = world.dynos.values()
    assert dyno.container
    world.seen[dyno.container] = Seen(1, collected=False)
    world.turn()
    for _ in range(20):
        assert not world.turn()
    world.seen[dyno.container] = Seen(1, collected=True)
    assert [type(step) for step in world.turn()] == [rules.Clear]


def test_a_stopped_dyno_stays_down_until_the_next_release() -> None:
    world = running(web=2)
    dyno = next(d for d in world.dynos.values() if d.number == 1)
    world.change(dyno, retired="stopped")
    world.settle()
    assert world.up() == ["r1:web.2"]
    assert world.dynos[dyno.id].state == "down"
    world.release = "r2"
    world.settle()
    assert world.up() == ["r2:web.1", "r2:web.2"]
    assert len(world.dynos) == 2


def test_a_machine_restart_costs_no_pause() -> None:
    world = running(web=3)
    world.seen = {id: Seen(rules.LOST, collected=True) for id in world.seen}
    world.settle(5)
    assert len(world.up()) == 3
    assert all(dyno.restarts == 0 for dyno in world.dynos.values())


def test_cycling_replaces_dynos_one_by_one_without_a_gap() -> None:
    world = running(web=3)
    world.bounds = Bounds(cycle=3600)
    first = set(world.dynos)
    before = [len(first & set(world.dynos)) for _ in range(3590) if world.turn() is not None]
    assert set(before) == {3}
    seen = set()
    for _ in range(700):
        world.turn()
        seen.add(len(first & set(world.dynos)))
        assert sum(dyno.state == "up" for dyno in world.dynos.values()) >= 3
    assert seen == {0, 1, 2, 3}
    assert not first & set(world.dynos)


def test_a_destroyed_app_ends_everything() -> None:
    world = running(web=2, worker=1)
    world.release = None
    world.settle()
    assert not world.dynos
    assert not world.seen


changes = st.lists(
    st.one_of(
        st.tuples(st.just("deploy"), st.sampled_from(["good", "bad", "fragile"])),
        st.tuples(st.just("scale"), st.integers(0, 3)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("kill"), st.integers(0, 5)),
        st.tuples(st.just("sicken"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 90)),
    ),
    max_size=12,
)


@given(changes)
def test_whatever_happens_the_last_good_release_comes_up_exactly(events: list[tuple[str, object]]) -> None:
    world = running(web=2)
    for number, (event, value) in enumerate(events):
        if event == "deploy":
            world.release = f"n{number}"
            if value != "good":
                getattr(world, str(value)).add(world.release)
        elif event == "scale":
            world.scale(web=int(str(value)))
        elif event == "restart":
            for dyno in list(world.dynos.values()):
                world.change(dyno, retired=dyno.retired or "replaced")
        elif event == "sicken" and world.dynos:
            world.sick[sorted(world.dynos)[int(str(value)) % len(world.dynos)]] = "no answer"
        elif event == "kill" and world.seen:
            id = sorted(world.seen)[int(str(value)) % len(world.seen)]
            world.seen[id] = Seen(137, collected=True)
        else:
            world.settle(int(str(value)))
    world.release = "last"
    world.scale(web=2)
    world.settle(200)
    assert world.up() == ["last:web.1", "last:web.2"]
    assert len(world.dynos) == len(world.seen) == 2
    assert world.turn() == []


@given(changes)
def test_a_switch_never_takes_the_last_serving_dyno(events: list[tuple[str, object]]) -> None:
    world = running(web=2)
    for number, (event, value) in enumerate(events):
        if event == "deploy":
            world.release = f"n{number}"
            if value != "good":
                getattr(world, str(value)).add(world.release)
        elif event == "restart":
            for dyno in list(world.dynos.values()):
                world.change(dyno, retired=dyno.retired or "replaced")
        for _ in range(int(str(value)) if event == "wait" else 1):
            world.turn()
            assert world.up()


def one(state: str, **values: Any) -> DynoState:
    return DynoState("d1", "formation", "web", 1, "r1", "Basic", state, START, **values)


def test_what_only_runs_is_not_looked_at_soon() -> None:
    assert rest([one("up"), one("down")], START, 5) == 5
    assert rest([one("up"), one("starting")], START, 5) == 0
    assert rest([one("up", retired="replaced")], START, 5) == 0


def test_a_pause_or_a_time_limit_that_ends_sooner_is_met() -> None:
    crashed = one("crashed", next_start=START + timedelta(seconds=2))
    limited = one("up", expires_at=START + timedelta(seconds=3))
    assert rest([crashed, limited], START, 5) == 2
    assert rest([limited], START, 5) == 3
    assert rest([one("crashed", container="web-1", next_start=START)], START, 5) == 0


def test_what_does_not_end_by_itself_has_the_time_of_draining_and_then_that_of_sigterm() -> None:
    """WebSockets: the router says when the last request has ended; they do not."""
    draining = one("draining", container="web-1", retired="replaced")
    seen = {"web-1": Seen()}
    bounds = Bounds(drain=30, grace=20)
    for seconds in (0, 29):
        assert plan(None, [], [draining], seen, set(), START + timedelta(seconds=seconds), bounds) == []
    (step,) = plan(None, [], [draining], seen, set(), START + timedelta(seconds=30), bounds)
    assert step == rules.Stop(draining, 20)
