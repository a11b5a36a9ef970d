"""A hostile pogod: whatever the platform's user sends to agent and monitors, or puts in their way, they go on."""

from __future__ import annotations

import json
import os
import pwd
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import containers_lxc
import pytest
from containers_lxc import STACK, AgentProcess, Scenario, missing
from containers_rig import Rig

from pogo.agent import directories, server
from pogo.agent.installation import BadConfiguration, Installation
from pogo.errors import ContainerError

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

agent, run = containers_lxc.agent, containers_lxc.run
NOBODY = pwd.getpwnam("nobody")


def send(path: Path, data: bytes, fds: tuple[int, ...] = ()) -> bytes:
    """What is answered to these bytes; nothing where the connection is closed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        socket.send_fds(connection, [data[:1000]], fds)
        try:
            connection.sendall(data[1000:])
            return connection.recv(65536)
        except ConnectionError:
            return b""


GARBAGE = (
    b"\n",
    b"{}\n",
    b"[]\n",
    b"7\n",
    b"not json\n",
    b"\xff\xfe\n",
    b"[" * 100_000 + b"\n",
    b'{"a":' * 50_000 + b"\n",
    b'{"op": ["start"]}\n',
    b'{"op": "start"}\n',
    b'{"op": "start", "spec": []}\n',
    b'{"op": "start", "spec": {"id": "../../etc"}}\n',
    b'{"op": "start", "spec": {"id": "x", "slot": 1e999}}\n',
    b'{"op": "remove", "id": "../c"}\n',
    b'{"op": "remove", "id": ["x"]}\n',
    b'{"op": "remove", "id": ""}\n',
    b'{"op": "remove", "id": "\\u0000"}\n',
    b'{"op": "remove", "id": "\\ud800"}\n',
    b'{"op": "fetch", "id": "x", "name": {}}\n',
    b'{"op": "exec"}\n',
    b'{"op": "exec", "id": {}}\n',
    b'{"op": "exec", "id": "../c"}\n',
    b'{"op": "fetch", "id": ".", "name": "spec"}\n',
)


def test_the_agent_survives_garbage(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    assert agent.process is not None
    for data in GARBAGE:
        send(agent.installation.socket, data)
        assert agent.process.poll() is None, data

    async def scenario(rig: Rig) -> None:
        assert (await rig.sh("echo well"))[1] == "well\n"

    run(scenario)


def test_the_agent_keeps_few_descriptors_of_others(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    assert agent.process is not None
    held = [socket.socket(socket.AF_UNIX) for _ in range(50)]
    file = os.open("/dev/null", os.O_RDONLY)
    for one in held:
        one.connect(str(agent.installation.socket))
        for _ in range(3):
            try:
                socket.send_fds(one, [b" "], [file] * 30)
            except ConnectionError:
                break

    async def scenario(rig: Rig) -> None:
        await rig.containers.list()
        assert len(os.listdir(f"/proc/{agent.process.pid}/fd")) < 50 * 42  # type: ignore[union-attr]

    run(scenario)
    for one in held:
        one.close()
    os.close(file)


def test_a_monitor_survives_garbage(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("wait",), stdin=True)
        place = agent.installation.records / id / "sock"
        frames = b'{"op": "stop"}\n', b'{"op": "stop", "grace": []}\n', b'{"op": "collected", "offset": "x"}\n'
        for data in (*GARBAGE, *frames, b"x" * (2 << 20)):
            send(place, data)
        seen = await rig.seen(id)
        assert seen is not None
        assert seen.exit is None
        # Only what breaks the protocol of an attachment ends the process, as closing it does.
        send(place, b'{"op": "attach"}\n' + struct.pack("=cI", b"d", 0xFFFFFFFF) + b"x" * (2 << 20))
        assert (await rig.end(id)).status == 129

    run(scenario)


def test_a_wrong_window_size_leaves_the_monitor_alive(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("wait",), tty=(24, 80))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(agent.installation.records / id / "sock"))
            connection.sendall(b'{"op": "attach"}\n' + struct.pack("=cI", b"r", 3) + b"abc")
            assert (await rig.end(id)).status == 129

    run(scenario)


def test_what_the_caller_may_not_read_is_not_shown(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    """With O_PATH a user holds a descriptor of a file that he may not open."""

    async def scenario(rig: Rig) -> None:
        secret = Path(f"{agent.installation.state}/secret")
        secret.write_text("secret")
        secret.chmod(0o600)
        spec = rig.spec(("wait",))
        request = {
            "op": "start",
            "spec": {
                "id": spec.id, "slot": 1, "stack": STACK, "command": ["cat", "/pogo/in/a"], "env": {},
                "limits": {"memory": 64 << 20, "cpu_shares": 256, "pids": 64}, "slug": False, "tty": None,
                "stdin": False, "inputs": ["a"], "outputs": False, "builder": False, "continues": "",
                "spool": 1 << 20, "labels": {},
            },
        }  # fmt: skip
        code = (
            "import os, socket, sys; c = socket.socket(socket.AF_UNIX); c.connect(sys.argv[1]);"
            "socket.send_fds(c, [sys.stdin.buffer.read()], [os.open(sys.argv[2], os.O_PATH)]);"
            "print(c.recv(65536).decode())"
        )
        for path in (secret, Path("/etc/shadow"), Path("/root")):
            args = [sys.executable, "-I", "-c", code, str(agent.installation.socket), str(path)]
            done = subprocess.run(
                args, input=json.dumps(request) + "\n", capture_output=True, text=True, check=False, cwd="/",
                user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[],
            )  # fmt: skip
            assert "nothing that may be shown" in done.stdout, done.stderr

    run(scenario)


# -- what lies in the agent's way when it starts


@pytest.fixture
def agent_of(tmp_path: Path) -> server.Agent:
    """An agent of a state directory in which pogod was first; it does not serve."""
    package = Path(server.__file__).parent.parent
    from ipaddress import IPv4Network

    ours = Installation(
        tmp_path / "s", IPv4Network("10.99.0.0/24"), 1_600_000_000, 10, NOBODY.pw_uid, NOBODY.pw_gid, package, tmp_path
    )
    (tmp_path / "s").mkdir()
    return server.Agent(ours)


@pytest.mark.parametrize("name", ["scratch", "run", "run/c", "run/l", "run/root", "run/l/3"])
def test_links_in_place_of_directories_are_refused(agent_of: server.Agent, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    path = agent_of.installation.state / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(victim)
    with pytest.raises(BadConfiguration, match="symbolic link"):
        directories.prepare(agent_of.installation)
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700
    assert not [*victim.iterdir()]


def test_the_profile_and_the_lock_follow_no_link(agent_of: server.Agent, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    run = agent_of.installation.run
    run.mkdir()
    (run / "seccomp").symlink_to(victim)
    directories.prepare(agent_of.installation)
    assert victim.read_text() == "kept"
    assert (run / "seccomp").lstat().st_uid == 0
    (run / "agent.lock").symlink_to(tmp_path / "made")
    with pytest.raises(OSError):
        agent_of._only_one()
    assert not (tmp_path / "made").exists()


def test_files_of_dynos_are_out_of_reach_of_other_users(agent: AgentProcess) -> None:
    assert stat.S_IMODE(agent.installation.scratch.stat().st_mode) == 0o700


def test_refusals_are_told(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        with pytest.raises(ContainerError, match="POGO_MAX_APPS"):
            await rig.start(("wait",), slot=10_000)

    run(scenario)
