"""Of containers in the background: they are the lightest, what they use is seen, and limits are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import containers_lxc
import pytest
from containers_lxc import AgentProcess, Scenario, missing
from containers_rig import Rig

from pogo.agent import cgroups, records
from pogo.containers import Limits

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

agent, run = containers_lxc.agent, containers_lxc.run
MEMORY = 256 << 20
FORK_UNTIL_REFUSED = """my $n = 0;
while ($n < 100) { defined(my $p = fork) or last; if (!$p) { sleep 1; exit } $n++ }
print "refused\n"; exit 7"""


def shares(group: Path) -> int:
    if cgroups.UNIFIED:
        return int((cgroups.ROOT / group / "cpu.weight").read_text())
    return int((cgroups.ROOT / "cpu" / group / "cpu.shares").read_text())


def test_together_they_weigh_less_than_any_other(agent: AgentProcess, run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        front = await rig.start(("wait",), limits=Limits(MEMORY, cpu_shares=128))
        back = await rig.start(("wait",), limits=Limits(MEMORY, cpu_shares=1024, background=True))
        of_front = Path(records.group(agent.installation, front, background=False))
        of_back = Path(records.group(agent.installation, back, background=True))
        assert of_back.parent.parent == of_front.parent, "they have to be weighed against each other"
        assert shares(of_front) == (12 if cgroups.UNIFIED else 128)
        assert shares(of_back.parent) * 8 <= shares(of_front) * 1.05 + 4
        assert cgroups.processes(str(of_back))
        for id in (front, back):
            await rig.containers.remove(id)

    run(scenario)


@pytest.mark.parametrize(("background", "idle"), [(True, "idle"), (False, "none: prio 0")])
def test_their_io_waits_for_that_of_others(run: Callable[[Scenario], None], background: bool, idle: str) -> None:
    async def scenario(rig: Rig) -> None:
        limits = Limits(MEMORY, background=background)
        status, said = await rig.sh("ionice -p $$; cat /proc/self/oom_score_adj", limits=limits)
        assert (status, said.split("\n")[0]) == (0, idle)
        assert said.split("\n")[1] == ("500" if background else "0")

    run(scenario)


def test_what_they_use_is_seen_apart(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        hungry = ("perl", "-e", "my $x = 'x' x (60 << 20); syswrite(STDOUT, qq(full\\n)); sleep 100")
        back = await rig.start(command=hungry, limits=Limits(MEMORY, background=True))
        front = await rig.start(("wait",), limits=Limits(MEMORY))
        await rig.said(back, b"full")
        apart = [await rig.containers.usage(background=background) for background in (True, False)]
        assert [(back in used, front in used) for used in apart] == [(True, False), (False, True)]
        assert 60 << 20 <= apart[0][back].total < 160 << 20
        for id in (back, front):
            await rig.containers.remove(id)

    run(scenario)


def test_the_limit_of_processes_is_told(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        limits = Limits(MEMORY, pids=20, background=True)
        end, _ = await rig.run(command=("perl", "-e", FORK_UNTIL_REFUSED), limits=limits)
        assert (end.status, end.exceeded) == (7, "pids")
        end, _ = await rig.run(("exit", "7"), limits=limits)
        assert (end.status, end.exceeded) == (7, "")

    run(scenario)


def test_the_shortest_are_not_lost(run: Callable[[Scenario], None]) -> None:
    """Some have ended before their monitor looks at what they are counted in."""

    async def scenario(rig: Rig) -> None:
        limits = Limits(MEMORY, background=True)
        ends = [await rig.sh("exit 7", limits=limits) for _ in range(30)]
        assert ends == [(7, "")] * 30

    run(scenario)


def test_a_full_layer_ends_it(agent: AgentProcess, run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        fill = "dd if=/dev/zero of=/app/ballast bs=1M count=60 status=none; sleep 60"
        limits = Limits(MEMORY, background=True, disk=40 << 20)
        end, _ = await rig.run(command=("sh", "-c", fill), limits=limits)
        assert (end.status, end.exceeded) == (137, "disk")

    run(scenario)
