"""The plan for an app's dynos, in a small simulated world."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pogo.rules import formation as rules
from pogo.rules.formation import Bounds, DynoState, Seen, Want, plan, rest

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """What the loop and the containers would do: every step is carried out at once.

    bad: releases whose web processes never answer; fragile: ones whose processes end at once; ill: ones whose web
    processes stop to answer when they are up. sick: dynos that did.
    """

    now: datetime = START
    release: str | None = "r1"
    wants: list[Want] = field(default_factory=list)
    dynos: dict[str, DynoState] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    fragile: set[str] = field(default_factory=set)
    ill: set[str] = field(default_factory=set)
    sick: dict[str, str] = field(default_factory=dict)
    log: list[rules.Step] = field(default_factory=list)
    count: int = 0
    bounds: Bounds = field(default_factory=Bounds)

    def scale(self, **quantities: int) -> None:
        self.wants = [Want(type, n, "Basic", "run") for type, q in quantities.items() for n in range(1, q + 1)]

    def turn(self, seconds: float = 1) -> list[rules.Step]:
        self.now += timedelta(seconds=seconds)
        ready = {d.id for d in self.dynos.values() if d.type == "web" and d.release not in self.bad}
        sick = self.sick | {d.id: "no answer" for d in self.dynos.values() if d.state == "up" and d.release in self.ill}
        steps = plan(self.release, self.wants, self.dynos.values(), self.seen, ready, self.now, self.bounds, sick)
        for step in steps:
            self.do(step)
        self.log += steps
        return steps

    def change(self, dyno: DynoState, **values: object) -> None:
        if values.get("state", dyno.state) != dyno.state:
            values["state_at"] = self.now
        self.dynos[dyno.id] = replace(self.dynos[dyno.id], **values)

    def do(self, step: rules.Step) -> None:
        match step:
            case rules.Create(want):
                self.count += 1
                id = f"d{self.count}"
                assert self.release
                self.dynos[id] = DynoState(
                    id, "formation", want.type, want.number, self.release, want.size, "starting", self.now
                )
            case rules.Retire(dyno, why):
                self.change(dyno, retired=why)
            case rules.Boot(dyno):
                self.count += 1
                container = f"c{self.count}"
                self.change(dyno, state="starting", state_at=self.now, container=container)
                self.seen[container] = Seen(1, collected=True) if dyno.release in self.fragile else Seen()
            case rules.MarkUp(dyno):
                self.change(dyno, state="up")
            case rules.Drain(dyno):
                self.change(dyno, state="draining")
            case rules.Stop(dyno):
                self.change(dyno, state="stopping", stop_by=self.now)
                if dyno.container in self.seen:
                    self.seen[dyno.container] = Seen(143, collected=True)
            case rules.Crash(dyno, _, restarts, pause):
                self.change(dyno, state="crashed", restarts=restarts, next_start=self.now + timedelta(seconds=pause))
            case rules.Replace(dyno, restarts, pause):
                self.change(dyno, state="draining", retired="sick")
                self.count += 1
                successor = DynoState(
                    f"d{self.count}", "formation", dyno.type, dyno.number, dyno.release, dyno.size, "crashed", self.now
                )
                at = self.now + timedelta(seconds=pause)
                self.dynos[successor.id] = replace(successor, restarts=restarts, next_start=at)
            case rules.Finish(dyno):
                self.change(dyno, state="complete")
            case rules.Park(dyno):
                self.seen.pop(dyno.container or "", None)
                self.change(dyno, state="down", retired=None, container=None)
            case rules.Clear(dyno, forget):
                self.seen.pop(dyno.container or "", None)
                if forget:
                    del self.dynos[dyno.id]
                else:
                    self.change(dyno, container=None)

    def settle(self, turns: int = 100) -> None:
        for _ in range(turns):
            self.turn()

    def up(self, type: str = "web") -> list[str]:
        return sorted(f"{d.release}:{d.name}" for d in self.dynos.values() if d.state == "up" and d.type == type)


def running(**quantities: int) -> World:
    world = World()
    world.scale(**quantities)
    world.settle()
    return world


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
