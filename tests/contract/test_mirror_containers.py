"""The mirror and real build containers: who reaches it, what else builds reach, whom they trust, what a kill does."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop
from containers_lxc import STACK, AgentProcess, agent_installation, missing
from containers_rig import Rig

from pogo.containers import Limits
from pogo.containers.agent import AgentContainers
from pogo.install import certificates, ports
from pogo.install.runit import Runit
from pogo.install.supervision import Service
from pogo.mirror import authority
from pogo.mirror.egress import entries
from pogo.rules import build_passes
from pogo.rules.addresses import GATEWAY
from pogo.rules.build_passes import Visitor
from pogo.settings import CLIENT_CERTIFICATES, Settings
from ports import free_port

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PACK = "https://github.com/acme/pack"
Scenario = Callable[["World"], Awaitable[None]]


class World:
    """An installation with an agent and a supervised mirror."""

    def __init__(self, agent: AgentProcess, settings: Settings, runit: Runit) -> None:
        self.agent = agent
        self.settings = settings
        self.runit = runit
        self.rig = Rig(AgentContainers(agent.installation.socket), STACK, real=True)
        key = (settings.state_dir / "keys" / "mirror.key").read_bytes()
        credentials = build_passes.issue(key, Visitor("my-app", "b1"), int(time.time()) + 600)
        self.variables = build_passes.variables(GATEWAY, settings.mirror_port, credentials)
        self.limits = Limits(memory=512 << 20, pids=256)

    async def sh(self, script: str, *, builder: bool = True, env: dict[str, str] | None = None) -> tuple[int, str]:
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", **CLIENT_CERTIFICATES, **self.variables}
        return await self.rig.sh(script, env={**variables, **(env or {})}, builder=builder, limits=self.limits)

    def mirror_pid(self) -> int:
        found = self.runit.pid("mirror")
        assert found
        return found

    def wait(self, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not ports.mirror_listens(self.settings):
            assert time.monotonic() < end, (self.runit.logs / "mirror" / "current").read_text()
            time.sleep(0.05)


@contextmanager
def world(directory: Path, monkeypatch: pytest.MonkeyPatch, *, mode: str, only: bool, git: Path) -> Iterator[World]:
    port = free_port()
    given = {"": mode, "_ONLY": str(only), "_PORT": str(port), "_GIT": str(git)}
    for name, value in given.items():
        monkeypatch.setenv(f"POGO_MIRROR{name}", value)
    monkeypatch.setenv("POGO_CACHE_DIR", str(directory / "cache"))
    (directory / "cache" / "mirror").mkdir(parents=True)
    with agent_installation() as agent:
        state = agent.installation.state
        for name in ("keys", "mirror", "tls", "log"):
            (state / name).mkdir(exist_ok=True)
        (state / "keys" / "mirror.key").write_text(secrets.token_hex(32))
        settings = Settings(_env_file=None, state_dir=state)  # type: ignore[call-arg]
        certificates.ensure_mirror(settings, authority.hosts(settings), 0)
        variables = {name: value for name, value in agent.environ.items() if name.startswith("POGO_")}
        variables |= {"POGO_USER": "root", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        command = (sys.executable, "-c", "from pogo.mirror.command import main; main()", "serve")
        runit = Runit(state)
        try:
            runit.install([Service("mirror", command, "root", variables, "")])
            runit.start("mirror")
            found = World(agent, settings, runit)
            found.wait()
            yield found
        finally:
            runit.remove()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository, of a size that takes a while."""
    folder = tmp_path_factory.mktemp("git")
    work = folder / "acme" / "pack"
    (work / "bin").mkdir(parents=True)
    (work / "bin" / "detect").write_text("#!/bin/sh\necho Acme\n")
    (work / "big").write_bytes(os.urandom(24 << 20))
    run = shlex.split("git -c user.name=a -c user.email=a@b.c -c commit.gpgsign=false")
    for args in (["init", "-q", "-b", "main", "."], ["add", "."], ["commit", "-qm", "First"]):
        subprocess.run([*run, *args], cwd=work, check=True, capture_output=True)
    return folder


@pytest.fixture(autouse=True)
def _containers() -> None:
    if reason := missing():
        pytest.skip(reason)


@contextmanager
def listener() -> Iterator[int]:
    """A port of this host that is open on all its addresses."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        yield server.getsockname()[1]


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))
        found: str = probe.getsockname()[0]
        return found


def test_beside_the_open_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """POGO_MIRROR=log: builds are let through and logged, with and without the proxy; nobody else comes to it."""

    async def scenario(world: World) -> None:
        direct = "--noproxy '*'"
        curl = "curl -sS -o /dev/null -w '%{http_code} '"
        status, out = await world.sh(
            f"{curl} https://pypi.org/simple/flask/; {curl} {direct} https://pypi.org/simple/flask/"
        )
        assert (status, out.split()) == (0, ["200", "200"])
        (entry,) = [one for one in entries(world.settings.mirror_dir) if one.host == "pypi.org"]
        assert (entry.app, entry.build, entry.by) == ("my-app", "b1", "passed")
        assert entry.received > 1000

        status, out = await world.sh("curl -sS https://pypi.org/", builder=False)
        assert status == 7, "a dyno has reached the proxy, with the credentials of a build"
        status, out = await world.sh(
            "curl -sS -x http://169.254.1.1:$P https://pypi.org/", env={"P": world_port(world)}
        )
        assert (status, "407" in out) == (56, True), out

        with listener() as port:
            for address in (GATEWAY, own_address()):
                status, out = await world.sh(f"curl -sS {direct} http://{address}:{port}/")
                assert status == 7, out
                _, out = await world.sh(f"curl -sS -w '%{{http_code}}' http://{address}:{port}/")
                assert out.endswith("403"), out
        mirrors = (world.settings.state_dir / "tls" / "mirror" / "ca.pem").read_text().splitlines()[3]
        _, out = await world.sh(f"grep -c '{mirrors}' {BUNDLE}")
        assert out == "0\n"  # it does not answer, so nobody has to trust it

    with world(tmp_path, monkeypatch, mode="log", only=False, git=folder) as found:
        uvloop.run(scenario(found))


def world_port(world: World) -> str:
    return str(world.settings.mirror_port)


def test_in_a_closed_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """POGO_MIRROR=answer, POGO_MIRROR_ONLY: git from the operator's folder, PyPI through the proxy, nothing else."""

    async def scenario(world: World) -> None:
        await nothing_else(world)
        await everyone_trusts_it(world)
        await a_package_is_installed(world)
        await killed_in_the_middle(world)

    async def nothing_else(world: World) -> None:
        for script in (
            "getent hosts pypi.org",
            "curl -sS -m 5 --noproxy '*' http://203.0.113.80/",
            "nc -zw 3 8.8.8.8 53",
        ):
            began = time.monotonic()
            status, out = await world.sh(script)
            assert status != 0, (script, out)
            assert time.monotonic() - began < 4, f"{script}: refused late"
        status, _ = await world.sh("getent hosts pypi.org", builder=False)
        assert status == 0, "dynos have lost their network"

    async def everyone_trusts_it(world: World) -> None:
        refs = f"{PACK}/info/refs?service=git-upload-pack"
        plain = "env -u SSL_CERT_FILE -u PIP_CERT -u NODE_EXTRA_CA_CERTS"
        scripts = {
            "curl": f"{plain} curl -sSf -o /dev/null '{refs}'",
            "python": f"{plain} python3 -c \"import urllib.request as u; u.urlopen('{refs}').read()\"",
            "git": f"{plain} git clone -q --depth 1 {PACK} /tmp/pack && cat /tmp/pack/bin/detect",
            "perl": f"{plain} git -c http.sslVerify=true ls-remote {PACK}",
        }
        for name, script in scripts.items():
            status, out = await world.sh(script)
            assert status == 0, (name, out)
        _, dyno = await world.sh(f"wc -l < {BUNDLE}; ls /etc/ssl/certs | wc -l", builder=False)
        _, build = await world.sh(f"wc -l < {BUNDLE}; ls /etc/ssl/certs | wc -l")
        assert [int(word) for word in build.split()] > [int(word) for word in dyno.split()]
        assert int(build.split()[1]) == int(dyno.split()[1]) + 1

    async def a_package_is_installed(world: World) -> None:
        status, out = await world.sh(
            "python3 -m venv /tmp/v && /tmp/v/bin/pip install -q flask && /tmp/v/bin/flask --version"
        )
        assert status == 0 and "Flask" in out, out
        hosts = {one.host for one in entries(world.settings.mirror_dir) if one.by == "passed"}
        assert "pypi.org" in hosts

    async def killed_in_the_middle(world: World) -> None:
        """The clone that it cuts fails with words; the mirror is back in a moment, and the next clone is whole."""
        again = f"until git clone -q {PACK} /tmp/b; do sleep 0.2; done; git -C /tmp/b fsck --full && echo whole"
        script = f"git clone {PACK} /tmp/a; echo status $?; {again}"
        old = world.mirror_pid()
        work = asyncio.create_task(world.sh(script))
        while not any(one.seconds is None and one.method == "POST" for one in entries(world.settings.mirror_dir)):
            assert not work.done()
            await asyncio.sleep(0.01)
        os.kill(old, signal.SIGKILL)
        status, out = await work
        assert status == 0 and out.endswith("whole\n"), out
        said, _, ended = out.partition("status ")
        assert re.search("^(error|fatal): ", said, re.MULTILINE) and not ended.startswith("0"), out
        assert world.mirror_pid() != old
        assert [one for one in entries(world.settings.mirror_dir) if one.seconds is None], (
            "the cut request is in the log"
        )

    with world(tmp_path, monkeypatch, mode="answer", only=True, git=folder) as found:
        uvloop.run(scenario(found))
