"""A small simulated world for the plan of an app's dynos."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pogo.rules import formation as rules
from pogo.rules.formation import Bounds, DynoState, Seen, Want, plan

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
