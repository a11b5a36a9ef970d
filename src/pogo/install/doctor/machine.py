"""The machine around an installation: system, memory, disk, ports, names, clock, programs."""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pogo.agent import network
from pogo.errors import CommandFailed
from pogo.install import ports
from pogo.install.doctor import inside
from pogo.install.doctor.check import Check, failed, guarded, ok, warning
from pogo.process import run
from pogo.settings import Settings

AREA = "Machine"
MB = 1 << 20
MEMORY = 900 * MB
SPACE = 6144 * MB  # before anything is installed: stack images and the first slugs
SPACE_LEFT = 1024 * MB
INODES_LEFT = 20_000
NEEDED = {"haproxy": (2, 6), "lxc": (5, 0)}
_TIME_ERROR = 5
_EPOCH = 1_760_000_000  # no machine that runs this can have an earlier clock


def checks(settings: Settings, ours: set[int]) -> list[Check]:
    """ours: the platform's own processes, which may hold its ports."""
    found = [*_system(), memory(_memory()), *_disk(settings), *_ports(settings, ours)]
    found += guarded(AREA, "names", _resolvers)
    return [*found, clock(time.time(), _is_synchronised()), *_programs()]


def kernel_checks(settings: Settings) -> list[Check]:
    """The trials of `kernel`, which are a program of their own."""
    place = settings.state_dir if settings.state_dir.is_dir() else Path("/var/tmp")  # noqa: S108
    command = (sys.executable, "-I", "-m", "pogo.install.doctor.kernel", place, str(settings.uid_base))
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return [Check(**row) for row in json.loads(run(*command, env={"PATH": path, "LC_ALL": "C.UTF-8"}))]


def _system() -> Iterator[Check]:
    text = Path("/etc/os-release").read_text()
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    shown = f"{name[1] if name else 'unknown'}, Linux {os.uname().release}"
    if re.search(r"^ID=debian$", text, re.MULTILINE) and re.search(r'^VERSION_ID="12"$', text, re.MULTILINE):
        yield ok(AREA, "system", shown)
    else:
        yield warning(AREA, "system", shown, "Pogoapp is made for Debian 12; here it may work or not.")


def _memory() -> tuple[int, int]:
    """(all, available), bytes."""
    rows = dict(row.split(":", 1) for row in Path("/proc/meminfo").read_text().splitlines())
    return int(rows["MemTotal"].split()[0]) << 10, int(rows["MemAvailable"].split()[0]) << 10


def memory(bytes: tuple[int, int]) -> Check:
    """(all, available)."""
    total, available = bytes
    shown = f"{total // MB} MB, {available // MB} MB available"
    if total < MEMORY:
        return failed(AREA, "memory", shown, "1024 MB is the least.", needed=True)
    if available < 256 * MB:
        return warning(AREA, "memory", shown, "Dynos and builds may be killed. Scale something down, or add memory.")
    return ok(AREA, "memory", shown)


def _disk(settings: Settings) -> Iterator[Check]:
    places = {"disk": settings.state_dir, "disk of the cache": settings.cache_dir}
    seen: set[int] = set()
    for name, place in places.items():
        there = next(path for path in (place, *place.parents) if path.exists())
        if there.stat().st_dev in seen:
            continue
        seen.add(there.stat().st_dev)
        fs = os.statvfs(there)
        # An earlier bin/up may have come as far as this, and has then taken most of the space itself.
        installed = (settings.state_dir / "stacks" / settings.default_stack / "current").exists()
        yield disk(name, place, (fs.f_bavail * fs.f_frsize, fs.f_favail if fs.f_files else None), installed=installed)


def disk(name: str, place: Path, free: tuple[int, int | None], *, installed: bool) -> Check:
    """free: bytes and inodes (None where the file system has no number of them)."""
    space, inodes = free
    shown = f"{space // MB} MB free in {place}" + (f", {inodes} inodes" if inodes is not None else "")
    if not installed and name == "disk" and space < SPACE:
        advice = f"Stack images and slugs need {SPACE // MB} MB. Free some space or set POGO_STATE_DIR."
        return failed(AREA, name, shown, advice, needed=True)
    if space < SPACE_LEFT:
        return failed(AREA, name, shown, "Builds and logs will fail. Free some space: apps:destroy, POGO_KEEP_SLUGS.")
    if inodes is not None and inodes < INODES_LEFT:
        return failed(
            AREA, name, shown, "A build makes thousands of files. Remove some, or use a file system with more."
        )
    if space < 4 * SPACE_LEFT:
        return warning(AREA, name, shown, "Free some space soon.")
    return ok(AREA, name, shown)


def _ports(settings: Settings, ours: set[int]) -> Iterator[Check]:
    numbers = f"{settings.http_port}, {settings.https_port} and {settings.rendezvous_port}"
    try:
        ports.check(settings, ours)
    except ports.PortInUse as error:
        found, _, advice = error.message.partition("\n")
        yield failed(AREA, "ports", found, advice or "Choose others: see deploy/pogo.conf.", needed=True)
    else:
        yield ok(AREA, "ports", f"{numbers} are {'ours' if ours else 'free'}")


def _resolvers() -> Iterator[Check]:
    """Those that dynos are told, asked from here; `inside` asks them from where dynos are."""
    servers = network.nameservers()
    advice = "Dynos cannot find names. Put a resolver that is not on the loopback into /etc/resolv.conf."
    if not servers:
        yield failed(AREA, "names", "this machine has no resolver that dynos could reach", advice)
    for server in servers:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            took = inside.asked(server, asking)
        if took is None:
            advice = "Dynos and builds that ask it wait in vain: mend it or take it out of /etc/resolv.conf."
            yield failed(AREA, "names", f"{server} does not answer", advice)
        else:
            yield ok(AREA, "names", f"{server} answers, in {took * 1000:.0f} ms")


def _is_synchronised() -> bool | None:
    """What the kernel was told by whoever sets its clock; None where it cannot be asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(512))
    return None if state < 0 else state != _TIME_ERROR


def clock(now: float, synchronised: bool | None) -> Check:
    """now: unix time."""
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _EPOCH:
        return failed(AREA, "clock", shown, "It is years behind: certificates and tokens are refused. Set it.")
    if synchronised is False:
        return warning(AREA, "clock", f"{shown}, kept by nobody", "Install chrony or systemd-timesyncd.")
    return ok(AREA, "clock", shown)


def _programs() -> Iterator[Check]:
    for name, command in (("haproxy", ("/usr/sbin/haproxy", "-v")), ("lxc", ("lxc-execute", "--version"))):
        try:
            yield version(name, run(*command))
        except CommandFailed as error:
            yield failed(AREA, name, error.message.splitlines()[0], f"Install it: apt install {name}", needed=True)


def version(name: str, said: str) -> Check:
    found = re.search(r"\d+(?:\.\d+)+", said)
    least = ".".join(map(str, NEEDED[name]))
    if not found or tuple(int(part) for part in found[0].split(".")[:2]) < NEEDED[name]:
        return failed(
            AREA, name, said.splitlines()[0][:80] if said else "nothing", f"{name} {least} or newer is needed."
        )
    return ok(AREA, name, found[0])
