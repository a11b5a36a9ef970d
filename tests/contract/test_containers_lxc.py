"""Of real LXC containers: what the process sees, its terminal, its limits."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import containers_lxc
import pytest
from containers_lxc import STACK, AgentProcess, Scenario, loops, missing
from containers_rig import Rig, image

from pogo.containers import Limits
from pogo.errors import ContainerError
from pogo.rules.usage import thrashes

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

agent, run = containers_lxc.agent, containers_lxc.run


# -- what the process sees


def test_environment_and_arguments_are_kept_byte_by_byte(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        env = {
            "PATH": "/usr/bin:/bin",
            "LINES": "a\nb\n",
            "odd-name.x": "1",
            "RAW": os.fsdecode(b"\xff\xfe"),
            "Q": "'\"$x`",
        }
        end, output = await rig.run(command=("cat", "/proc/self/environ"), env=env)
        got = dict(item.split(b"=", 1) for item in output.split(b"\0") if item)
        assert got == {os.fsencode(key): os.fsencode(value) for key, value in env.items()}
        end, output = await rig.run(command=("printf", "<%s>", "a b", "", "c\nd", "$x"))
        assert (end.status, output) == (0, b"<a b><><c\nd><$x>")

    run(scenario)


def test_secrets_are_in_no_command_line(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("wait",), env={"PATH": "/usr/bin:/bin", "KEY": "sesame-1357"})
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert b"sesame-1357" not in path.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
        await rig.containers.remove(id)

    run(scenario)


@pytest.mark.parametrize(("command", "status"), [(("no-such",), 127), (("/etc/hosts",), 126), (("kill-me",), 137)])
def test_status_of_commands_that_cannot_run_or_are_killed(
    run: Callable[[Scenario], None], command: tuple[str, ...], status: int
) -> None:
    async def scenario(rig: Rig) -> None:
        end, output = await rig.run(command=("sh", "-c", "kill -9 $$") if command == ("kill-me",) else command)
        assert end.status == status
        assert not end.oom
        assert (command[0].encode() in output) == (status != 137)

    run(scenario)


def test_process_is_confined(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        script = r"""
        id -u; pwd; umask; hostname; ulimit -n
        grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
        touch /app/mine /tmp/mine && echo written
        touch /etc/mine 2>/dev/null || echo refused; touch /usr/mine 2>/dev/null || echo refused
        mount -t tmpfs none /tmp 2>/dev/null || echo refused; unshare -U true 2>/dev/null || echo refused
        head -c1 /proc/kcore 2>/dev/null || echo refused
        echo 1 2>/dev/null > /proc/sys/kernel/panic || echo refused
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes; df -k /dev/shm | tail -1 | awk '{print $2}'
        echo direct > /dev/stdout; echo err > /dev/stderr
        ls /dev | tr '\n' ' '
        """
        spec = rig.spec(command=("sh", "-c", script))
        end, output = await rig.run(command=spec.command, id=spec.id)
        lines = output.decode().splitlines()
        assert lines[:5] == ["1000", "/app", "0022", spec.id, str(min(10_000, int(lines[4])))]
        assert [line.split()[1] for line in lines[5:9]] == ["0" * 16, "0" * 16, "1", "2"]
        assert lines[9:16] == ["written", *["refused"] * 6]
        assert lines[16:20] == [str(128 << 20), "65536", "direct", "err"]
        assert not {"vda", "kvm", "mem", "loop-control"} & set(lines[20].split())
        assert end.status == 0

    run(scenario)


def test_slug_is_below_a_writable_app_directory(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        slug = image(tmp_path, {"app/hello": "from the slug\n", "app/bin/run": "#!/bin/sh\necho ran\n"})
        script = "cat hello; stat -c %U:%u hello; echo changed > hello; cat hello; mv bin bin2 && sh bin2/run"
        _, output = await rig.sh(script, slug=slug)
        assert [line.split(":")[-1] for line in output.splitlines()] == ["from the slug", "1000", "changed", "ran"]
        assert (await rig.sh("cat hello", slug=slug)) == (0, "from the slug\n")

    run(scenario)


def test_inputs_and_builder_are_shown_read_only(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        source = tmp_path / "source"
        source.write_text("tree")
        source.chmod(0o600)
        os.chown(source, 4321, 4321)
        (tmp_path / "file").write_text("inside")
        inputs = {"source.tar": source, "cache": tmp_path / "file"}
        script = """cat /pogo/in/source.tar /pogo/in/cache
        echo x 2>/dev/null >> /pogo/in/source.tar || echo :refused
        test -f /pogo/lib/pogo/errors.py && test -d /pogo/buildpacks && echo there
        touch /pogo/lib/pogo/x 2>/dev/null || echo refused"""
        status, output = await rig.sh(script, inputs=inputs, builder=True)
        assert (status, output.split()) == (0, ["treeinside:refused", "there", "refused"])

    run(scenario)


def test_continuing_shows_what_the_first_wrote(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        first = rig.spec(command=("sh", "-c", "mkdir /tmp/b; echo 1 > /tmp/b/f; echo 2 > /app/g"), outputs=True)
        await rig.run(id=first.id, command=first.command, outputs=True)
        second = rig.spec()
        script = "cat /tmp/b/f /app/g; rm /app/g; echo 3 > /tmp/b/f; ln -s /etc/shadow /pogo/out/link"
        assert await rig.sh(script, id=second.id, continues=first.id, outputs=True) == (0, "1\n2\n")
        assert await rig.sh("cat /tmp/b/f; ls /app", continues=second.id) == (0, "3\n")
        with pytest.raises(Exception, match="link"):
            await rig.containers.fetch(second.id, "link", tmp_path / "link")
        with pytest.raises(ContainerError, match="another app"):
            await rig.start(("exit", "0"), continues=first.id, slot=2)

    run(scenario)


def test_new_image_of_a_stack_is_used_by_the_next_start(run: Callable[[Scenario], None], agent: AgentProcess) -> None:
    async def scenario(rig: Rig) -> None:
        stacks = agent.installation.state / "stacks"
        other = stacks / "other"
        other.mkdir()
        (other / "current").symlink_to(stacks / STACK / "one.squashfs")
        running = await rig.start(("wait",), stack="other")
        shutil.copyfile(stacks / STACK / "one.squashfs", other / "two.squashfs")
        (other / "new").symlink_to("two.squashfs")
        (other / "new").rename(other / "current")
        before = loops(other)
        assert (await rig.sh("exit 3", stack="other"))[0] == 3
        id = await rig.start(("wait",), stack="other")
        assert not before
        assert loops(other) == 1
        await rig.containers.remove(id)
        await rig.containers.remove(running)
        with pytest.raises(ContainerError, match="not installed"):
            await rig.start(("exit", "0"), stack="absent")

    run(scenario)


# -- terminals


async def until(attachment: object, text: bytes) -> bytes:
    output = b""
    try:
        async with asyncio.timeout(10):
            while text not in output:
                data = await attachment.read()  # type: ignore[attr-defined]
                assert data, output
                output += data
    except TimeoutError:
        raise AssertionError(f"{text!r} is not in {output!r}") from None
    return output


def test_terminal_resizes_interrupts_and_keeps_the_status(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(command=("bash", "--norc"), tty=(30, 100))
        attachment = await rig.containers.attach(id)
        await attachment.write(b"stty size; tty\n")
        await until(attachment, b"30 100\r\n/dev/pts/0\r\n")
        await attachment.resize(50, 132)
        await asyncio.sleep(0.2)
        await attachment.write(b"stty size; echo up; sleep 100\n")
        await until(attachment, b"50 132\r\nup\r\n")
        await asyncio.sleep(0.2)
        await attachment.write(b"\x03")
        await until(attachment, b"^C")
        await attachment.write(b"exit 42\n")
        while await attachment.read():
            pass
        assert (await rig.end(id)).status == 42

    run(scenario)


def test_closing_a_terminal_hangs_up_what_runs_on_it(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(command=("bash", "--norc"), tty=(24, 80))
        attachment = await rig.containers.attach(id)
        await attachment.write(b"echo now; sleep 1000\n")
        await until(attachment, b"now\r\n")
        await asyncio.sleep(1)  # until the shell waits for the sleep: what is born during a hang-up misses it
        await attachment.close()
        assert (await rig.end(id, within=5)).status == 129

    run(scenario)


def test_output_of_a_terminal_waits_for_its_attachment(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        id = await rig.start(("print", "prompt> "), ("wait",), tty=(24, 80))
        await asyncio.sleep(0.5)
        attachment = await rig.containers.attach(id)
        assert await attachment.read() == b"prompt> "
        await rig.containers.stop(id, 0)
        assert await attachment.read() == b""

    run(scenario)


# -- the end


def test_what_is_left_is_asked_to_end_and_may_not_go_on_by_forking(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        asked = 'pipe(R, W); if (!fork) { $SIG{TERM} = sub { syswrite(STDOUT, "asked\\n"); exit }; syswrite(W, "1"); '
        asked += "while (1) { sleep 1 } } sysread(R, my $up, 1); exit 3"
        end, output = await rig.run(command=("perl", "-e", asked))
        assert (end.status, output) == (3, b"asked\n")
        bomb = '$SIG{TERM} = "IGNORE"; if (!fork) { while (1) { fork // select(undef, undef, undef, 0.01) } } exit 4'
        end, _ = await rig.run(command=("perl", "-e", bomb), limits=Limits(memory=128 << 20, pids=40))
        assert end.status == 4

    run(scenario)


# -- limits


def test_memory_limit_kills_and_is_told(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        hungry = ("perl", "-e", "my $x = 'x' x (200 << 20); sleep 100")
        end, _ = await rig.run(command=hungry, limits=Limits(memory=64 << 20))
        assert (end.status, end.oom) == (137, True)
        child = "perl -e 'my $x = \"x\" x (200 << 20)'; echo went on with $?"
        end, output = await rig.run(command=("sh", "-c", child), limits=Limits(memory=64 << 20))
        assert (end.status, end.oom) == (0, True)
        assert b"went on with 137" in output

    run(scenario)


def test_a_program_that_only_reads_itself_again_is_seen(run: Callable[[Scenario], None]) -> None:
    """It is at its limit, and is not killed by the kernel, which takes the pages of its program again and again."""
    program = """
import glob, mmap, os, random
file = open(max(glob.glob("/usr/lib/*/*.so*"), key=os.path.getsize), "rb")
library, held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), bytearray(54 << 20)
for page in range(0, len(held), 4096):
    held[page] = 1
print("full", flush=True)
while True:
    library[random.randrange(len(library))]
"""

    async def scenario(rig: Rig) -> None:
        id = await rig.start(command=("python3", "-c", program), limits=Limits(memory=64 << 20))
        await rig.said(id, b"full")
        before, at = (await rig.containers.usage())[id], time.monotonic()
        async with asyncio.timeout(20):
            while not thrashes(before, (await rig.containers.usage())[id], time.monotonic() - at, 64 << 20):
                await asyncio.sleep(0.2)
        await rig.containers.stop(id, 0, exceeded="memory")
        end = await rig.end(id)
        assert (end.status, end.oom) == (137, True)

    run(scenario)


def test_the_quota_is_what_it_is_told_and_more_is_what_kills_it(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        limits = Limits(memory=128 << 20, quota=64 << 20, files=100)
        hungry = "my $x; $x .= 'x' x (1 << 20) for 1 .. %d; print length($x) >> 20"
        told = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes; ulimit -n; exec perl -e "$0"'
        end, output = await rig.run(command=("sh", "-c", told, hungry % 90), limits=limits)
        assert (end.status, output.decode()) == (0, f"{64 << 20}\n100\n90")
        end, _ = await rig.run(command=("perl", "-e", hungry % 140), limits=limits)
        assert (end.status, end.oom) == (137, True)

    run(scenario)


def test_cpu_is_limited_where_that_is_asked_for(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        busy = "my $end = time + 2; 1 while time < $end; printf '%.2f', (times)[0]"
        end, used = await rig.run(command=("perl", "-e", busy), limits=Limits(memory=64 << 20, cpu=20))
        assert end.status == 0
        assert float(used) < 0.9  # of the one to two seconds in which it ran

    run(scenario)


def test_number_of_processes_is_limited(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        script = (
            "my $n = 0; while ($n < 100) { defined(my $p = fork) or last; if (!$p) { sleep 5; exit } $n++ } print $n"
        )
        end, output = await rig.run(command=("perl", "-e", script), limits=Limits(memory=128 << 20, pids=20))
        assert end.status == 0
        assert 10 < int(output) <= 20

    run(scenario)


TWO_WRITES = """import socket
server = socket.create_server(("", 5000))
print("ready", flush=True)
connection, _ = server.accept()
while connection.recv(100):
    connection.sendall(b"head")
    connection.sendall(b"body")
"""


def test_an_answer_in_two_writes_does_not_wait_for_an_acknowledgement(run: Callable[[Scenario], None]) -> None:
    async def scenario(rig: Rig) -> None:
        started = await rig.containers.start(rig.spec(command=("/usr/bin/python3", "-c", TWO_WRITES)))
        async for frame in rig.containers.logs(started.id):
            assert frame.data == b"ready\n"
            break
        took = await asyncio.to_thread(_answers, started.address)
        # Of the later ones: the kernel delays none of a connection's first acknowledgements.
        assert min(took[20:]) < 0.03
        await rig.containers.remove(started.id)

    run(scenario)


def _answers(address: str) -> list[float]:
    """Seconds that each of some requests over one connection took."""
    took = []
    with socket.create_connection((address, 5000), timeout=30) as connection:
        for _ in range(30):
            began = time.monotonic()
            connection.sendall(b"?")
            there = b""
            while len(there) < 8:
                there += connection.recv(8)
            took.append(time.monotonic() - began)
    return took
