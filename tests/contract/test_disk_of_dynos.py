"""The disk of a dyno: what it writes is counted, in bytes and in files, and neither depth nor names hide it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import containers_lxc
import pytest
from containers_lxc import AgentProcess, Scenario, missing
from containers_rig import Rig

from pogo.agent import records, usage
from pogo.containers import Exit, Limits

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

agent, run = containers_lxc.agent, containers_lxc.run
DISK = Limits(128 << 20, disk=40 << 20)
NEST = """
for my $n (1 .. 1500) { mkdir 'd' x 200 or die; chdir 'd' x 200 or die }
"""


def test_one_that_writes_too_much_is_ended_others_are_not(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        modest = await rig.start(("output", "x", "y"), ("wait",), outputs=True, limits=DISK)
        scripts = {
            "in files": "for n in $(seq 20); do dd if=/dev/zero of=/app/$n bs=1M count=10 status=none; done",
            "in inodes": "cd /app; for n in $(seq 40); do mkdir $n; (cd $n; seq 100 | xargs touch); done",
            "out of sight": f"cd /app; perl -e '{NEST.strip()} for my $n (1 .. 9) {{ open(my $f, q(>), $n);"
            " print $f q(x) x (10 << 20) }'",
        }

        async def ended(script: str) -> tuple[Exit, float]:
            began = time.monotonic()
            spec = rig.spec(command=("sh", "-c", f"{script}; sleep 60"), limits=DISK)
            await rig.containers.start(spec)
            return await rig.end(spec.id, within=60), time.monotonic() - began

        ends = await asyncio.gather(*(ended(script) for script in scripts.values()))
        for how, (end, seconds) in zip(scripts, ends, strict=True):
            assert (end.status, end.exceeded) == (137, "disk"), how
            assert seconds < 50, how
        seen = await rig.seen(modest)
        assert seen is not None
        assert seen.exit is None

    run(scenario)


def test_one_file_has_the_same_limit(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        status, said = await rig.sh("head -c 50M /dev/zero > /app/x; stat -c %s /app/x", limits=DISK)
        assert (status, said.split()[-1]) == (0, str(40 << 20))

    run(scenario)


def test_a_tree_deeper_than_any_path_is_removed(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        spec = rig.spec(command=("perl", "-e", f"chdir '/app'; {NEST}"))
        end, said = await rig.run(id=spec.id, command=spec.command)
        assert end.status == 0, said
        async with asyncio.timeout(20):
            while (agent.installation.scratch / spec.id).exists():
                await asyncio.sleep(0.1)

    run(scenario)


def test_what_is_used(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    (one / "large").write_bytes(bytes(1 << 20))
    (one / "same").hardlink_to(one / "large")
    for number in range(100):
        (other / str(number)).touch()
    found = usage.used([one, other, tmp_path / "gone"])
    assert 1 << 20 <= found.pop(one) < 2 << 20
    assert found == {other: 101 * usage.INODE_BYTES}
    records.clear(tmp_path)
    assert usage.used([one]) == {}
