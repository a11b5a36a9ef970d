"""The plan for an app's dynos, in a small simulated world: one-off dynos."""

from __future__ import annotations

from datetime import timedelta

import pytest
from formation_world import START, World, running

from pogo.rules import formation as rules
from pogo.rules.formation import DynoState, Seen


def test_one_off_dynos_end_and_are_forgotten() -> None:
    world = running(web=1)
    world.dynos["x"] = DynoState(
        "x", "run", "run", 1234, "r1", "Basic", "starting", world.now, expires_at=world.now + timedelta(hours=1)
    )
    world.settle(3)
    x = world.dynos["x"]
    assert x.state == "up"
    assert x.container
    world.seen[x.container] = Seen(3, collected=True)
    (step,) = world.turn()
    assert isinstance(step, rules.Finish)
    assert step.status == 3
    world.settle(70)
    assert "x" not in world.dynos


def test_what_an_attached_dyno_printed_is_kept_for_a_client_that_comes_late() -> None:
    world = World(wants=[])
    world.dynos["x"] = DynoState("x", "run", "run", 1, "r1", "Basic", "starting", START, attach=True, waiting=True)
    world.settle(3)
    container = world.dynos["x"].container
    assert container
    world.seen[container] = Seen(0, collected=True)
    world.settle(rules.KEPT - 5)
    assert world.dynos["x"].state == "complete"
    assert world.dynos["x"].container == container
    world.settle(20)
    assert not world.dynos
    assert not world.seen


@pytest.mark.parametrize(("waiting", "expires"), [(True, timedelta(days=1)), (False, timedelta(minutes=3))])
def test_one_off_dynos_are_stopped_when_their_time_is_up_or_nobody_comes(waiting: bool, expires: timedelta) -> None:
    world = World(wants=[])
    world.dynos["x"] = DynoState(
        "x", "run", "run", 1, "r1", "Basic", "starting", START, waiting=waiting, expires_at=START + expires
    )
    world.settle(100)
    assert world.dynos["x"].state == "up"
    world.settle(400)
    assert "x" not in world.dynos
