"""The plan for an app's dynos, in a small simulated world: those that fail their health checks."""

from __future__ import annotations

from datetime import timedelta

from formation_world import World, running

from pogo.rules import formation as rules
from pogo.rules.formation import Seen


def test_a_sick_dyno_drains_at_once_while_its_successor_boots() -> None:
    world = running(web=2)
    (first, second) = world.dynos
    world.sick[first] = "GET /live answered 500"
    (step,) = world.turn()
    assert isinstance(step, rules.Replace)
    assert (step.dyno.id, step.restarts, step.pause, step.reason) == (first, 1, 0, "GET /live answered 500")
    assert world.dynos[first].state == "draining"
    world.settle(5)
    assert world.up() == ["r1:web.1", "r1:web.2"]  # the old one still drains
    world.settle(60)
    assert first not in world.dynos
    assert second in world.dynos
    assert len(world.seen) == 2


def test_not_more_than_half_are_replaced_at_a_time() -> None:
    world = running(web=4)
    world.sick = dict.fromkeys(world.dynos, "no answer")
    world.bad.add("r1")  # the new ones do not come up
    world.settle(30)
    assert len(world.up()) == 2
    world.bad.clear()
    for _ in range(200):
        world.turn()
        assert len(world.up()) >= 2
    assert not set(world.sick) & set(world.dynos)
    assert len(world.up()) == 4


def test_one_of_three_dynos_that_is_away_leaves_no_room() -> None:
    world = running(web=3)
    ids = list(world.dynos)
    world.change(world.dynos[ids[0]], state="crashed", container=None, next_start=world.now + timedelta(hours=1))
    world.sick = {ids[1]: "no answer"}
    assert world.turn() == []
    world.change(world.dynos[ids[0]], state="down")  # a user wants it so: it is not missed
    assert [type(step) for step in world.turn()] == [rules.Replace]


def test_a_dyno_that_ended_has_crashed_however_sick_it_was() -> None:
    world = running(web=1)
    (dyno,) = world.dynos.values()
    assert dyno.container
    world.sick[dyno.id] = "no answer"
    world.seen[dyno.container] = Seen(1, collected=True)
    assert [type(step) for step in world.turn()] == [rules.Crash]


def test_a_path_that_never_answers_is_met_with_growing_pauses() -> None:
    world = World(ill={"r1"})
    world.scale(web=1)
    for _ in range(8000):
        world.turn()
    pauses = [step.pause for step in world.log if isinstance(step, rules.Replace)]
    assert pauses[:6] == [0, 5, 15, 30, 60, 120]
    assert max(pauses) == 1200
    world.ill.clear()
    world.settle(1500)
    assert world.up() == ["r1:web.1"]
    assert len(world.dynos) == len(world.seen) == 1
