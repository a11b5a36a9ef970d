"""A hostile app: programs that try to leave their dyno, look at its neighbours or starve them (docs/security.md).

All run in one-off dynos of one app on a whole platform. Afterwards its neighbour answers and nothing is left.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import pty
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from installation import Installation
from probes import files, isolation, kernel, network, starvation
from probes.probing import PROBES
from small_apps import make, small
from waiting import eventually

from pogo.stack import aptsources

HERE = Path(__file__).parent
LIBC = ctypes.CDLL(None, use_errno=True)
QUIET = [module.__name__.rpartition(".")[2] for module in (files, kernel, isolation, network)]
LINKS = {"up": "../../../../../../..", "proc": "/proc/1/root", "root": "/proc/1/root", "fd": "/proc/self/fd/3/.."}
STARVING = starvation.__name__.rpartition(".")[2]


@dataclass
class Seen:
    """found: what came of each probe. slowest: of the neighbour, in seconds. most: of the machine's, meanwhile."""

    found: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0
    failed: int = 0
    requests: int = 0
    most: dict[str, int] = field(default_factory=dict)
    forged: bytes = b""


@contextmanager
def listeners() -> Iterator[tuple[int, socket.socket, str]]:
    """A TCP port on all addresses of this machine, a UDP one, and an abstract unix socket."""
    name = f"pogo-probes-{os.getpid()}"
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("0.0.0.0", 0))
        udp.setblocking(False)
        abstract.bind(f"\0{name}")
        abstract.listen()
        yield tcp.getsockname()[1], udp, name


def addresses() -> list[str]:
    """This machine's own, and the one that dynos see as their gateway."""
    listed = json.loads(subprocess.run(["ip", "-json", "addr"], capture_output=True, text=True, check=True).stdout)
    found = [one["local"] for link in listed for one in link["addr_info"] if one["family"] == "inet"]
    outer = {address for address in found if not address.startswith("127.")}
    return sorted(outer | {"169.254.1.1"})


def alive(platform: Installation, app: str) -> list[str]:
    """Containers of an app that have not ended, and processes of its users."""
    specs = platform.records(app)
    found = [str(spec["id"]) for spec in specs if not (platform.state / f"run/c/{spec['id']}/exit").exists()]
    base = int(platform.settings["POGO_UID_BASE"])
    for slot in {int(str(spec["slot"])) for spec in specs}:
        users = range(base + slot * 65536, base + (slot + 1) * 65536)
        found += [path.name for path in Path("/proc").glob("[0-9]*") if _owner(path) in users]
    return found


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return -1


@pytest.fixture(scope="module")
def app(platform: Installation) -> Iterator[Path]:
    work = make(platform, "hostile", {"Procfile": "console: bash\n"})
    (work / "probes").mkdir()
    for file in (HERE / "probes").glob("*.py"):
        (work / "probes" / file.name).write_text(file.read_text())
    (work / "links").mkdir()
    (platform.place / "marker").write_text("secret")
    for name, target in {**LINKS, "secret": str(platform.place / "marker")}.items():
        (work / "links" / name).symlink_to(target)
    platform.commit(work, "probes")
    platform.push(work)
    yield work
    platform.pogo("destroy", "--confirm", "hostile", cwd=work)


@pytest.fixture(scope="module")
def neighbour(platform: Installation) -> Iterator[str]:
    work = make(platform, "neighbour", small())
    platform.push(work)
    eventually(lambda: platform.get("neighbour").status == 200)
    yield "neighbour"
    platform.pogo("destroy", "--confirm", "neighbour", cwd=work)


def facts(platform: Installation, tcp: int, udp: int, abstract: str, neighbour: str) -> str:
    """What the probes are told, so that they need not find it out; in base64."""
    mirror = aptsources.find_mirror(aptsources.read_sources(), "bookworm").main
    said = {
        "marker": str(platform.place / "marker"),
        "state": str(platform.state),
        "pogod": platform.pid("pogod"),
        "abstract": abstract,
        "hosts": addresses(),
        "ports": [tcp, platform.http_port, platform.https_port, platform.rendezvous_port],
        "udp": udp,
        "neighbour": platform.records(neighbour)[0]["address"],
        "neighbour_port": platform.get(neighbour, "/env/PORT").body,
        "name": urlsplit(mirror).hostname,
    }
    return base64.b64encode(json.dumps(said).encode()).decode()


def probed(platform: Installation, app: Path, told: str, *topics: str) -> dict[str, str]:
    """What came of the probes of these topics, in a one-off dyno."""
    done = platform.call("pogo", "run", "--no-tty", f"exec python3 -m probes {told} {' '.join(topics)}", cwd=app)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"probe": ')]
    assert done.returncode == 0, done.stdout[-3000:]
    return {line["probe"]: line["found"] for line in lines}


@pytest.fixture(scope="module")
def seen(platform: Installation, app: Path, neighbour: str) -> Seen:
    """All probes, run once."""
    said = Seen()
    with listeners() as (tcp, udp, abstract):
        told = facts(platform, tcp, udp.getsockname()[1], abstract, neighbour)
        said.found |= probed(platform, app, told, *QUIET)
        with contextlib.suppress(BlockingIOError):
            said.forged = udp.recv(100)
    with watching(platform, neighbour, said):
        said.found |= probed(platform, app, told, STARVING)
    return said


@contextmanager
def watching(platform: Installation, neighbour: str, said: Seen) -> Iterator[None]:
    """Asks the neighbour all the time, and looks at what the machine has only one of."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            began = time.monotonic()
            try:
                said.failed += platform.get(neighbour).status != 200
            except OSError:
                said.failed += 1
            said.requests += 1
            said.slowest = max(said.slowest, time.monotonic() - began)
            for name, value in machine().items():
                said.most[name] = max(said.most.get(name, 0), value)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def machine() -> dict[str, int]:
    """TCP's memory in bytes, tracked connections, and whether root can watch no file: 0 or the error."""
    tcp = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    watcher = LIBC.inotify_init1(os.O_CLOEXEC)
    if watcher >= 0:
        os.close(watcher)
    return {
        "tcp": int(tcp.split()[-1]) * os.sysconf("SC_PAGESIZE"),
        "connections": int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text()),
        "no watchers": int(watcher < 0),
    }


@pytest.mark.parametrize("name", [*PROBES])
def test_probe(seen: Seen, name: str) -> None:
    assert seen.found.get(name) in PROBES[name].expected.split(" or "), PROBES[name].tries


def test_there_are_as_many_as_promised() -> None:
    assert len(PROBES) >= 45


def test_no_forged_packet_arrived(seen: Seen) -> None:
    assert seen.forged == b""


def test_neighbours_answer_meanwhile(seen: Seen) -> None:
    assert seen.requests > 50
    assert seen.failed == 0
    assert seen.slowest < 15  # seconds; a processor that is shared by all tests of a run has bad moments


def test_what_the_machine_has_only_one_of_is_left_to_others(seen: Seen) -> None:
    before = machine()
    assert seen.most["no watchers"] == 0
    assert seen.most["tcp"] < before["tcp"] + (128 << 20)
    assert seen.most["connections"] < before["connections"] + 8000


def test_a_full_environment_is_refused(platform: Installation, app: Path) -> None:
    refused = platform.call("pogo", "config:set", f"HUGE={'x' * 100_000}", cwd=app)
    assert refused.returncode != 0
    assert "HUGE" not in platform.pogo("config", cwd=app)


def test_slugs_are_written_by_nobody_for_another(platform: Installation, app: Path) -> None:
    """What a dyno writes over its slug is its own."""
    platform.pogo("run", "--no-tty", "echo changed > probes/__init__.py; touch mine", cwd=app)
    said = platform.pogo("run", "--no-tty", "grep -c changed probes/__init__.py; ls mine", cwd=app, check=False)
    assert "\n0\n" in said
    assert "No such file" in said


def test_the_terminal_of_the_caller_gets_nothing_typed(platform: Installation, app: Path) -> None:
    """TIOCSTI types into the dyno's own terminal, if the kernel lets it; never into that of `pogo run`."""
    master, slave = pty.openpty()
    code = "import fcntl, termios; [fcntl.ioctl(0, termios.TIOCSTI, bytes([c])) for c in b'touch pushed\\n']"
    args = ["setsid", "--ctty", "pogo", "run", f'python3 -c "{code}"; sleep 0.5']
    done = subprocess.Popen(args, cwd=app, env=platform.environment, stdin=slave, stdout=slave, stderr=slave)
    output = b""
    while done.poll() is None:
        if select.select([master], [], [], 0.1)[0]:
            output += os.read(master, 65536)
    os.set_blocking(slave, False)
    assert b"up, run." in output
    with pytest.raises(BlockingIOError):
        os.read(slave, 100)
    os.close(master)
    os.close(slave)


def test_a_full_disk_ends_the_dyno_that_fills_it(platform: Installation, app: Path) -> None:
    fill = "for n in $(seq 20); do head -c 25M /dev/zero > $n; done; sleep 60"
    said = platform.pogo("run:detached", fill, cwd=app)
    dyno = said[said.index("run.") :].split()[0]
    words = "Error: the dyno wrote more than 384 MB to its disk and was killed"
    eventually(lambda: words in platform.pogo("logs", "--dyno", dyno, cwd=app))


def test_nothing_is_left_and_all_is_well(platform: Installation, app: Path, neighbour: str, seen: Seen) -> None:
    assert platform.get(neighbour).status == 200
    assert platform.get("hello").status == 200
    # Records of one-off dynos are kept a while for clients that come late; nothing of them runs or takes space.
    eventually(lambda: not alive(platform, "hostile"))
    kept = {path.parent.name for path in (platform.state / "run/c").glob("*/spec")}
    ended = {path.parent.name for path in (platform.state / "run/c").glob("*/exit")}
    assert {path.name for path in (platform.state / "scratch").iterdir()} <= kept - ended
    for service in ("agent", "pogod", "router"):
        assert platform.pid(service)
