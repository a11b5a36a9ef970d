"""Into a running dyno: a shell, commands, files, ports; and what becomes of them when something is killed."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncssh
import pytest
from installation import Installation
from small_apps import make, small
from test_run import Terminal
from waiting import eventually

from ports import free_ports

PROFILE = "export FROM_PROFILE=sourced; echo noise of a profile\n"


@pytest.fixture(scope="module")
def app(platform: Installation) -> Path:
    work = make(platform, "inside", {**small(), ".profile": PROFILE})
    (work / "blob").write_bytes(os.urandom(3 << 20))
    platform.commit(work, "blob")
    platform.push(work)
    platform.pogo("config:set", "GREETING=good morning", cwd=work)
    eventually(lambda: platform.get("inside", "/env/GREETING").body == "good morning")
    return work


@pytest.fixture
def bash(platform: Installation, app: Path) -> Iterator[Terminal]:
    terminal = Terminal(platform, app, "pogo", "ps:exec")
    yield terminal
    terminal.close()


def containers(platform: Installation) -> set[str]:
    return {path.parent.name for path in (platform.state / "run/c").glob("*/spec")}


def joined(platform: Installation) -> list[str]:
    """lxc-attach processes of the platform."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"lxc-attach" and str(platform.state / "run").encode() in words:
            found.append(path.parent.name)
    return found


def test_a_shell(platform: Installation, app: Path, bash: Terminal) -> None:
    eventually(lambda: bash.shows(r"Connecting to web\.1 on ⬢ inside\.\.\. up"))
    eventually(lambda: bash.shows(r"~ ?\$ $"))
    bash.type("stty size; echo $DYNO, $GREETING, $FROM_PROFILE; pwd; tty\n")
    eventually(lambda: bash.shows("40 100\r\nweb.1, good morning, sourced\r\n/app\r\n/dev/pts/0\r\n"))
    bash.resize(50, 120)
    eventually(lambda: bash.type("stty size\n") or bash.shows("50 120\r"))
    bash.type("sleep 1000; echo status $?\n")
    eventually(lambda: bash.shows("sleep 1000; echo status"))
    bash.type("\x03")
    eventually(lambda: bash.shows(r"\^C(?s:.*)\$ $"))
    bash.type("exit 42\n")
    assert bash.process.wait(10) == 42
    assert re.search(r"^web\.1: up", platform.pogo("ps", cwd=app), re.M)
    eventually(lambda: not joined(platform))


def test_commands_pipes_and_statuses(platform: Installation, app: Path) -> None:
    done = platform.call("pogo", "ps:exec", "echo hi; exit 9", cwd=app)
    assert done.returncode == 9
    assert done.stdout.endswith("hi\n")
    said = platform.run("pogo", "ps:exec", "--dyno", "web.1", "--", "sort", "-r", cwd=app, input="a\nb\nc\n")
    assert said.endswith("c\nb\na\n")
    assert "web.1" in platform.pogo("ps:exec", "--status", cwd=app)
    done = platform.call("pogo", "run:inside", "web.1", "echo inside $DYNO; exit 4", cwd=app)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (4, "inside web.1")


def test_a_file_is_copied(platform: Installation, app: Path) -> None:
    said = platform.pogo("ps:copy", "blob", "-o", "copied", cwd=app)
    assert "Copying blob to copied" in said
    assert (app / "copied").read_bytes() == (app / "blob").read_bytes()
    again = platform.call("pogo", "ps:copy", "blob", cwd=app)
    assert again.returncode and "already exists" in again.stdout
    missing = platform.call("pogo", "ps:copy", "no/such file", cwd=app)
    assert missing.returncode and "No such file or directory" in missing.stdout
    assert sorted(path.name for path in app.iterdir() if "such" in path.name) == []


def test_a_port_is_forwarded(platform: Installation, app: Path) -> None:
    port = platform.pogo("ps:exec", "echo $PORT", cwd=app).split()[-1]
    here, there = free_ports(2)
    command = ["pogo", "ps:forward", f"{here}:{port},{there}:1"]
    with subprocess.Popen(
        command, cwd=app, env=platform.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == f"Listening on {here} and forwarding to web.1:{port}\n"
        running.stdout.readline()
        running.stdout.readline()
        connections = [http.client.HTTPConnection("127.0.0.1", here, timeout=20) for _ in range(3)]
        for connection in connections:
            connection.request("GET", "/")
        for connection in connections:
            assert connection.getresponse().read() == b"one web.1"
            connection.close()
        closed = http.client.HTTPConnection("127.0.0.1", there, timeout=20)
        closed.request("GET", "/")
        with pytest.raises(OSError):
            closed.getresponse()
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
    assert "Nothing listens on port 1 of web.1" in rest


def test_what_cannot_be_entered(platform: Installation, app: Path) -> None:
    def refused(*command: str) -> str:
        done = platform.call("pogo", *command, cwd=app)
        assert done.returncode
        return done.stdout

    assert "Couldn't find that dyno (web.9)" in refused("ps:exec", "-d", "web.9", "ls")
    assert "Couldn't find that app" in refused("ps:exec", "-a", "nowhere", "ls")
    assert "is no port" in refused("ps:forward", "http")
    assert "Couldn't find that dyno (web.9)" in refused("ps:forward", "-d", "web.9", "8080")
    platform.pogo("features:disable", "runtime-heroku-exec", cwd=app)
    for command in (("ps:exec", "ls"), ("ps:copy", "Procfile", "-o", "other")):
        assert "features:enable runtime-heroku-exec" in refused(*command)
    platform.pogo("features:enable", "runtime-heroku-exec", cwd=app)
    platform.pogo("ps:exec", "true", cwd=app)


def test_it_ends_with_its_dyno(platform: Installation, app: Path, bash: Terminal) -> None:
    eventually(lambda: bash.shows(r"\$ $"))
    platform.pogo("ps:restart", "web.1", cwd=app)
    assert bash.process.wait(90) == 137
    eventually(lambda: not joined(platform))
    eventually(lambda: platform.get("inside").status == 200)


def test_a_killed_daemon_hangs_up_what_it_joined(platform: Installation, app: Path, bash: Terminal) -> None:
    eventually(lambda: bash.shows(r"\$ $"))
    before = containers(platform)
    platform.kill("pogod")
    eventually(lambda: not joined(platform))
    assert bash.process.wait(60) != 0
    assert platform.get("inside").body == "one web.1"
    eventually(lambda: platform.call("pogo", "ps:exec", "echo again", cwd=app).stdout.endswith("again\n"))
    assert containers(platform) == before


# -- by SSH, as the official client comes


def invite(platform: Installation, key: asyncssh.SSHKey) -> dict[str, str]:
    """What the exec manager answers to the key."""
    trust = ssl.create_default_context(cafile=str(platform.state / "tls/ca.pem"))
    connection = http.client.HTTPSConnection("localhost", platform.https_port, context=trust, timeout=20)
    secret = b64encode(f"inside:{platform.pogo('auth:token').split()[-1]}".encode()).decode()
    body = json.dumps({"client_key": key.export_public_key().decode()})
    connection.request("PUT", "/api/v2/web.1", body, {"Authorization": f"Basic {secret}"})
    response = connection.getresponse()
    answer: dict[str, str] = json.loads(response.read())
    assert response.status == 200, answer
    return answer


def test_ssh(platform: Installation, app: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    invited = invite(platform, key)
    host, user = invited["tunnel_host"], invited["client_user"]

    def login(user: str, key: asyncssh.SSHKey) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
        trusted = asyncssh.import_known_hosts(f"[{host}]:80 {invited['proxy_public_key']}\n")
        return asyncssh.connect(
            host, 80, username=user, client_keys=[key], known_hosts=trusted, config=None, agent_path=None
        )

    async def visit() -> None:
        async with login(user, key) as connection:
            done = await connection.run("echo $DYNO; cat; exit 7", input="in\n")
            assert (done.stdout, done.exit_status) == ("noise of a profile\nweb.1\nin\n", 7)
            await _shell(connection)
            await _files(connection, app)
            port = (await connection.run("echo $PORT")).stdout.split()[-1]
            await _ports(connection, int(port))
        for stranger, other in ((user, asyncssh.generate_private_key("ssh-ed25519")), ("root", key)):
            with pytest.raises(asyncssh.PermissionDenied):
                async with login(stranger, other):
                    pass

    asyncio.run(visit())
    eventually(lambda: not joined(platform))


async def _shell(connection: asyncssh.SSHClientConnection) -> None:
    async with connection.create_process(term_type="xterm", term_size=(100, 40)) as shell:
        shell.stdin.write("stty size; echo $TERM\n")
        await asyncio.wait_for(shell.stdout.readuntil("40 100\r\nxterm\r\n"), 10)
        shell.change_terminal_size(120, 50)
        shell.stdin.write("while [ \"$(stty size)\" != '50 120' ]; do sleep 0.05; done; echo res''ized\n")
        await asyncio.wait_for(shell.stdout.readuntil("resized"), 10)
        shell.stdin.write("exit 5\n")
        await asyncio.wait_for(shell.wait_closed(), 10)
        assert shell.exit_status == 5


async def _files(connection: asyncssh.SSHClientConnection, app: Path) -> None:
    async with connection.start_sftp_client() as files:
        assert await files.getcwd() == "/app"
        async with files.open("blob", "rb") as blob:
            assert await blob.read() == (app / "blob").read_bytes()
        async with files.open("/tmp/new", "wb") as new:
            await new.write(b"written")
        assert (await connection.run("cat /tmp/new")).stdout.endswith("written")
        for forbidden in ("/etc/passwd", "/new"):
            with pytest.raises(asyncssh.SFTPError):
                async with files.open(forbidden, "ab"):
                    pass


async def _ports(connection: asyncssh.SSHClientConnection, port: int) -> None:
    reader, writer = await connection.open_connection("0.0.0.0", port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"one web.1")
    for host in ("169.254.1.1", "127.0.0.2", "example.com"):
        with pytest.raises(asyncssh.ChannelOpenError, match="only its own ports"):
            await connection.open_connection(host, 80)
    with pytest.raises(asyncssh.ChannelOpenError, match="Nothing listens"):
        await connection.open_connection("127.0.0.1", 1)
