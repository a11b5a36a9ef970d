"""Containers where the kernel cannot map the owners of images: stacks and slugs are unpacked, once each."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import containers_lxc
import pytest
from containers_lxc import STACK, AgentProcess, Scenario, agent_installation, missing
from containers_rig import Rig, image

from pogo.agent import cgroups, images, records
from pogo.agent.installation import Installation
from pogo.errors import Unavailable

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

run = containers_lxc.run


@pytest.fixture(scope="module")
def agent() -> Iterator[AgentProcess]:
    with agent_installation(POGO_IMAGES="unpacked") as agent:
        assert (agent.installation.run / "images").read_text() == "unpacked\n"
        yield agent


def unpacked(installation: Installation) -> set[str]:
    return {path.name for path in installation.unpacked.iterdir() if not path.name.startswith(".")}


PROGRAMS = """
set -e
python3 -c 'import ssl, sqlite3, json; print("python")'
ruby -e 'require "yaml"; puts "ruby"'
perl -MPOSIX -e 'print "perl\n"'
cd "$(mktemp -d)"
git init -q
git -c user.name=a -c user.email=b commit -q --allow-empty -m git
git log --format=%s
curl --version | cut -d ' ' -f 1 | head -n 1
echo 'int main(){return 0;}' > /tmp/a.c && gcc -o a /tmp/a.c && ./a && echo gcc
"""


def test_the_stack_is_as_it_would_be_mounted(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        status, output = await rig.sh(PROGRAMS)
        assert (status, output.split()) == (0, ["python", "ruby", "perl", "git", "curl", "gcc"])
        script = "exec 2>/dev/null; id -u; stat -c '%u %g %a' /usr /etc/shadow /tmp"
        script += "; touch /usr/x; cat /etc/shadow; find / -xdev -nouser"
        status, output = await rig.sh(script)
        lines = output.splitlines()
        assert lines[:2] == ["1000", "0 0 755"]
        assert lines[2].startswith("0 ")  # of another group than root's
        assert lines[2].split()[1] != "0"
        assert lines[3:] == ["0 0 1777"]
        assert len(unpacked(agent.installation)) == 1

    run(scenario)


def test_apps_share_a_slug_and_each_owns_it(
    run: Callable[[Scenario], None], agent: AgentProcess, tmp_path: Path
) -> None:
    slug = image(tmp_path, {"app/word": "original"})
    slug.chmod(0o600)  # as pogod's are

    async def scenario(rig: Rig) -> None:
        script = "cat word; stat -c ' %u' word; echo changed > word && cat word; rm word && ls"
        first, second = await asyncio.gather(rig.sh(script, slug=slug), rig.sh(script, slug=slug, slot=2))
        assert first == second == (0, "original 1000\nchanged\n")
        (file,) = agent.installation.unpacked.glob("*/app/word")
        assert file.read_text() == "original"
        assert file.stat().st_uid == images.unpacker(agent.installation)

    run(scenario)


def test_what_a_killed_monitor_has_unpacked_is_made_anew(
    run: Callable[[Scenario], None], agent: AgentProcess, tmp_path: Path
) -> None:
    slug = image(tmp_path, {f"app/{number}": str(number) * 100 for number in range(800)})
    with slug.open("rb") as file:
        wanted = images.to_unpack(agent.installation, file.fileno(), images.unpacker(agent.installation))
        half = agent.installation.unpacked / f".new-{wanted.key}"
        pid = os.fork()
        if pid == 0:
            images._hold(agent.installation.unpacked, wanted)
            os._exit(0)
        while not half.exists():
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(wanted.guard)
    assert wanted.key not in unpacked(agent.installation)

    async def scenario(rig: Rig) -> None:
        assert await rig.sh("ls | wc -l; cat 799 | wc -c", slug=slug) == (0, "800\n300\n")

    run(scenario)
    assert not half.exists()


def test_a_monitor_is_killed_while_it_unpacks(
    run: Callable[[Scenario], None], agent: AgentProcess, tmp_path: Path
) -> None:
    slug = image(tmp_path, {f"app/{number}": str(number) * 100 for number in range(4000)})
    home = agent.installation.unpacked

    def unpackers() -> list[str]:
        return [path.name for path in Path("/proc").glob("[0-9]*") if working_directory(path).startswith(str(home))]

    async def scenario(rig: Rig) -> None:
        spec = rig.spec(("exit", "0"), slug=slug)
        start = asyncio.ensure_future(rig.containers.start(spec))
        record = records.directory(agent.installation, spec.id)
        async with asyncio.timeout(20):
            while not [*home.glob(".new-*/app/*")]:
                assert not start.done()
                await asyncio.sleep(0.001)
        os.kill(int((record / "pid").read_text()), signal.SIGKILL)
        with pytest.raises(Unavailable):
            await start
        assert (await rig.end(spec.id)).status == -1
        assert await rig.sh("ls | wc -l; cat 3999 | wc -c", slug=slug) == (0, "4000\n400\n")
        await rig.containers.remove(spec.id)
        here = agent.installation
        left = [record, here.scratch / spec.id, *home.glob(".new-*"), *home.glob(".gone-*")]
        left += [hierarchy / here.cgroup / kind / spec.id for hierarchy in cgroups.hierarchies() for kind in "cm"]
        assert not [path for path in left if path.exists()]
        assert not unpackers()

    run(scenario)


def working_directory(process: Path) -> str:
    try:
        return os.readlink(process / "cwd")
    except OSError:
        return ""


def test_only_what_nobody_shows_is_cleared_away(
    run: Callable[[Scenario], None], agent: AgentProcess, tmp_path: Path
) -> None:
    first, second = (image(tmp_path / name, {"app/name": name}) for name in ("first", "second"))

    async def scenario(rig: Rig) -> None:
        here = agent.installation
        with (here.state / "stacks" / STACK / "one.squashfs").open("rb") as file:
            stack = images.to_unpack(here, file.fileno(), 0).key  # its thousands of files would take their time
        assert (await rig.sh("cat name", slug=first))[1] == "first"
        id = await rig.start(("wait",), slug=second)
        before = unpacked(here)
        images.clear(here)
        assert unpacked(here) == before  # wanted a moment ago
        images.clear(here, {stack}, keep=0)
        shown = {path.read_text() for path in here.unpacked.glob("*/app/name")}
        assert shown == {"second"}
        await rig.containers.remove(id)
        images.clear(here, {stack}, keep=0)
        assert {path.name for path in here.unpacked.iterdir()} == {stack, f".{stack}"}

    run(scenario)
