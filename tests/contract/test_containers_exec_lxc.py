"""One more process in a running container: what only a real one shows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from containers_lxc import AgentProcess
from containers_rig import Rig
from exec_rig import ENV, agent, finish, real, running
from probes import isolation, kernel
from probes.probing import PROBES

from pogo.agent import cgroups
from pogo.agent.joining import MOST_JOINED
from pogo.errors import ContainerError

__all__ = ["agent"]  # a fixture

PLACE = Path(__file__).parents[1] / "e2e/probes"


async def sh(rig: Rig, id: str, script: str, tty: tuple[int, int] | None = None, **env: str) -> tuple[int | None, str]:
    execution = await rig.containers.exec(id, ("sh", "-c", script), {**ENV, **env}, tty)
    status, output = await finish(execution)
    return status, output.decode()


SELF = """
cd /proc/self; grep -E 'Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp' status; readlink ns/*; cat limits
cut -d: -f2- cgroup | sed s,/.lxc,/,; set -- fd/*; echo $#; cat oom_score_adj
"""  # the shell counts its files itself: it holds the ends of a pipe for a moment


@pytest.mark.parametrize("tty", [None, (24, 80)])
def test_it_is_under_all_that_the_first_process_is_under(agent: AgentProcess, tty: tuple[int, int] | None) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(command=("sh", "-c", f"{SELF}\necho END; sleep 1000"))
        own = b""
        async for frame in rig.containers.logs(id):
            own += frame.data
            if b"END" in own:
                break
        _, joined = await sh(rig, id, f"{SELF}\necho END", tty)
        assert joined.replace("\r\n", "\n").splitlines() == own.decode().splitlines()
        assert "NoNewPrivs:\t1" in joined and "Seccomp:\t2" in joined
        await rig.containers.remove(id)

    real(agent, scenario)


# Two need to be told what is on the machine; the third is named a group in which LXC puts those that come later.
TOLD_OTHERWISE = {"processes_of_the_machine", "unix_sockets_of_the_machine", "groups_are_left"}


@pytest.mark.parametrize("topic", [module.__name__.rpartition(".")[2] for module in (kernel, isolation)])
def test_the_probes_of_a_hostile_app_are_refused_as_in_the_dyno_itself(agent: AgentProcess, topic: str) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            await sh(rig, id, "mkdir -p /tmp/probes")
            for file in PLACE.glob("*.py"):
                copied = await rig.containers.exec(id, ("sh", "-c", f"cat > /tmp/probes/{file.name}"), ENV, None)
                await copied.write(file.read_bytes())
                await copied.write_eof()
                assert await finish(copied) == (0, b"")
            _, output = await sh(rig, id, f"cd /tmp && python3 -m probes e30= {topic}")
            found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
            wrong = {
                one["probe"]: one["found"]
                for one in found
                if one["probe"] not in TOLD_OTHERWISE
                and one["found"] not in PROBES[one["probe"]].expected.split(" or ")
            }
            assert len(found) > 5
            assert not wrong

    real(agent, scenario)


def test_a_terminal(agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            assert await sh(rig, id, "tty; stty size; echo $WORD; pwd", (33, 99), WORD="a b") == (
                0,
                "/dev/pts/0\r\n33 99\r\na b\r\n/app\r\n",
            )
            shell = await rig.containers.exec(id, ("bash", "--norc"), {**ENV, "PS1": "> "}, (24, 80))
            said = b""

            async def until(text: bytes) -> None:
                nonlocal said
                async with asyncio.timeout(10):
                    while text not in said:
                        data = await shell.read()
                        assert data
                        said += data

            await until(b"> ")
            await shell.resize(50, 120)
            await shell.write(b"while [ \"$(stty size)\" != '50 120' ]; do sleep 0.05; done; echo res''ized\n")
            await until(b"resized")
            await shell.write(b"sleep 1000; echo woken $?\n")
            await asyncio.sleep(0.3)
            await shell.write(b"\x03")
            await until(b"^C")
            await shell.write(b"exit 7\n")
            assert (await finish(shell))[0] == 7

    real(agent, scenario)


def processes(agent: AgentProcess, rig_id: str) -> int:
    return len(cgroups.processes(f"{agent.installation.cgroup}/c/{rig_id}"))


@pytest.mark.parametrize("tty", [None, (24, 80)])
def test_hanging_up_leaves_nothing(agent: AgentProcess, tty: tuple[int, int] | None) -> None:
    """Neither in the container nor on the machine; what ignores SIGHUP is killed later."""

    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            await asyncio.sleep(0.3)  # the container's own processes are all there then
            before = processes(agent, id)
            scripts = ["sleep 1000 & sleep 1000", *(["trap '' HUP; sleep 1000; sleep 1000"] if tty else [])]
            executions = [await rig.containers.exec(id, ("sh", "-c", one), ENV, tty) for one in scripts]
            await asyncio.sleep(0.2)
            assert processes(agent, id) >= before + 3
            for execution in executions:
                await execution.close()
            async with asyncio.timeout(15):
                while processes(agent, id) > before or _children(agent):
                    await asyncio.sleep(0.1)

    real(agent, scenario)


def _children(agent: AgentProcess) -> list[str]:
    """lxc-attach processes of this installation."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0] == b"lxc-attach" and str(agent.installation.run).encode() in words:
                found.append(path.parent.name)
    return found


def test_a_killed_agent_is_not_noticed(agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            execution = await rig.containers.exec(id, ("cat",), ENV, None)
            agent.kill()
            agent.start()
            await execution.write(b"on")
            await execution.write_eof()
            assert await finish(execution) == (0, b"on")

    real(agent, scenario)


@pytest.mark.parametrize(
    "wrong",
    [
        {"command": "true"},
        {"command": []},
        {"command": ["a\0b"]},
        {"command": ["x" * (2 << 20)]},
        {"env": []},
        {"env": {"A": 1}},
        {"env": {"A=B": "x"}},
        {"tty": [0, 80]},
        {"tty": "24"},
        {"tty": [24, 80, 1]},
    ],
)
def test_what_a_hostile_caller_sends_is_refused(agent: AgentProcess, wrong: dict[str, object]) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            request = {"op": "exec", "id": id, "command": ["true"], "env": {}, "tty": None, **wrong}
            reader, writer = await asyncio.open_unix_connection(agent.installation.socket)
            writer.write(json.dumps(request).encode() + b"\n")
            assert "error" in json.loads(await asyncio.wait_for(reader.readline(), 10))
            writer.close()
            assert await sh(rig, id, "echo fine") == (0, "fine\n")

    real(agent, scenario)


def test_only_so_many_at_once(agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        async with running(rig) as id:
            executions = [await rig.containers.exec(id, ("sleep", "1000"), ENV, None) for _ in range(MOST_JOINED)]
            with pytest.raises(ContainerError, match="takes no more"):
                await rig.containers.exec(id, ("true",), ENV, None)
            for execution in executions:
                await execution.close()
            async with asyncio.timeout(10):
                while True:
                    with contextlib.suppress(ContainerError):
                        assert await sh(rig, id, "echo room") == (0, "room\n")
                        return
                    await asyncio.sleep(0.1)

    real(agent, scenario)


def test_a_container_that_has_no_process_left_to_give(agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        spec = rig.spec(command=("python3", "-c", _FORKS))
        await rig.containers.start(spec)
        await rig.said(spec.id, b"full")
        with pytest.raises(ContainerError, match="Nothing can be run"):
            await rig.containers.exec(spec.id, ("true",), ENV, None)
        await rig.containers.remove(spec.id)

    real(agent, scenario)


_FORKS = """
import os, signal
try:
    while os.fork(): pass
    signal.pause()
except OSError:
    print("full", flush=True)
    signal.pause()
"""
