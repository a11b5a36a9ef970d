"""Files: the stack, the kernel's trees, devices, mounts, links, owners."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
from pathlib import Path

from probes.probing import FACTS, calls, probe, refusal, refusals

AT_FDCWD = ctypes.c_int(-100)


def _open(path: str, flags: int = os.O_RDONLY) -> None:
    os.close(os.open(path, flags))


def _write(path: str, data: bytes = b"1\n") -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


@probe("EACCES")
def stack_is_written() -> str:
    """Make, change, rename and remove files of the stack."""
    return refusals(
        lambda: _open("/etc/new", os.O_CREAT | os.O_WRONLY),
        lambda: _open("/usr/bin/new", os.O_CREAT | os.O_WRONLY),
        lambda: _open("/etc/passwd", os.O_WRONLY),
        lambda: os.rename("/usr", "/usr2"),
        lambda: os.unlink("/usr/bin/env"),
        lambda: os.mkdir("/new"),
    )


@probe("EACCES, EPERM")
def platform_files_are_written() -> str:
    """Change what the platform puts into a dyno: launcher, hosts, resolver, the limits it shows."""
    names = ("/pogo/launch", "/etc/hosts", "/etc/resolv.conf", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    opened = [lambda name=name: _open(name, os.O_WRONLY) for name in names]
    return refusals(*opened, lambda: os.chmod("/pogo/launch", 0o777), lambda: os.rename("/pogo/out", "/pogo/other"))


@probe("EACCES")
def kernel_settings_are_written() -> str:
    """Write /proc/sys: core_pattern, modprobe, panic, randomisation, forwarding of packets."""
    names = (
        "kernel/core_pattern",
        "kernel/modprobe",
        "kernel/panic",
        "kernel/randomize_va_space",
        "net/ipv4/ip_forward",
    )
    paths = [f"/proc/sys/{name}" for name in names if os.path.exists(f"/proc/sys/{name}")]
    return refusals(*(lambda path=path: _write(path) for path in paths))


@probe("EACCES")
def kernel_switches_are_written() -> str:
    """Write sysrq-trigger, mtrr and interrupt affinities of the machine; set an alarm for its pressure."""
    names = ("sysrq-trigger", "mtrr", "irq/default_smp_affinity", "pressure/memory", "pressure/cpu")
    alarm = b"some 150000 2000000"
    there = [f"/proc/{name}" for name in names if os.path.exists(f"/proc/{name}")]
    return refusals(*(lambda path=path: _write(path, alarm) for path in there))


@probe("its own limits")
def machine_is_seen_in_sys() -> str:
    """Look for devices, buses, firmware and other groups in /sys."""
    found = {name for _, directories, files in os.walk("/sys") for name in (*directories, *files)}
    known = {"fs", "cgroup", "memory", "memory.limit_in_bytes", "pids", "pids.max"}
    return "its own limits" if found == known else str(found ^ known)


@probe("ENOENT")
def devices_are_opened() -> str:
    """Open memory, disks, loop devices, virtual machines, tunnels and the kernel's log in /dev."""
    names = "mem kmem port vda sda loop0 loop-control kvm fuse net/tun vsock vhost-vsock kmsg mapper/control uinput"
    return refusals(*(lambda name=name: _open(f"/dev/{name}") for name in names.split()))


@probe("EPERM")
def devices_are_made() -> str:
    """Make nodes of a disk and of the memory in /app, /tmp and /dev/shm."""
    where = ("/app/node", "/tmp/node", "/dev/shm/node")
    disk = [lambda path=path: os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(7, 0)) for path in where]
    memory = [lambda path=path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 1)) for path in where]
    return refusals(*disk, *memory)


@probe("EACCES, EPERM")
def devices_of_the_machine_are_changed() -> str:
    """Change the mode, owner and time of /dev/null, which is the machine's own; make a file in /dev."""
    return refusals(
        lambda: os.chmod("/dev/null", 0o600),
        lambda: os.chown("/dev/null", 1000, 1000),
        lambda: os.utime("/dev/null", (0, 0)),
        lambda: _open("/dev/new", os.O_CREAT | os.O_WRONLY),
    )


@probe("EPERM")
def mounts_are_made() -> str:
    """mount(2): tmpfs, proc, cgroup, bind, remount writable; umount."""
    none = None
    kinds = [
        (165, b"none", b"/tmp", kind, 0, none)
        for kind in (b"tmpfs", b"proc", b"sysfs", b"cgroup", b"cgroup2", b"overlay")
    ]
    bind, remount = (165, b"/", b"/tmp", none, 4096, none), (165, b"none", b"/", none, 32, none)
    return calls(*kinds, bind, remount, (166, b"/proc/sys", 2), (166, b"/dev/shm", 2))


@probe("EPERM")
def mounts_are_made_by_the_new_calls() -> str:
    """fsopen, open_tree, move_mount, mount_setattr, fspick."""
    block = bytes(32)
    return calls(
        (430, b"tmpfs", 0),
        (428, AT_FDCWD, b"/", 1),
        (429, AT_FDCWD, b"/", AT_FDCWD, b"/tmp", 0),
        (442, AT_FDCWD, b"/", 0, block, len(block)),
        (433, AT_FDCWD, b"/", 0),
    )


@probe("EPERM")
def root_is_changed() -> str:
    """pivot_root and chroot."""
    return calls((155, b"/app", b"/app")) + ("" if (said := refusal(lambda: os.chroot("/app"))) == "EPERM" else said)


@probe("nothing outside")
def links_lead_outside() -> str:
    """Follow links of the slug (made by the pusher) and of /proc to files of the machine, among them a secret."""
    marker = str(FACTS["marker"])
    ways = [f"/app/links/{name}" for name in ("up", "proc", "secret", "fd")]
    ways += [marker, f"/proc/1/root{marker}", f"/proc/self/root/../..{marker}", f"/proc/1/cwd/../..{marker}"]
    ways += [f"/proc/self/fd/{fd}/..{marker}" for fd in os.listdir("/proc/self/fd")]
    for way in ways:
        try:
            if "secret" in Path(way).read_text():
                return f"read through {way}"
        except OSError:
            continue
    same = os.stat("/app/links/root") if os.path.exists("/app/links/root") else os.stat("/")
    return "nothing outside" if os.path.samestat(same, os.stat("/")) else "another root"


@probe("1000 1000")
def setuid_files_give_rights() -> str:
    """Run a set-user-id program of the stack, and copies with the bits that the dyno sets itself."""
    shutil.copy("/usr/bin/id", "/app/id")
    os.chmod("/app/id", 0o6755)
    own = subprocess.run(["/app/id", "-u"], capture_output=True, text=True, check=True).stdout.strip()
    waiting = subprocess.Popen(
        ["/usr/bin/passwd"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    lines = Path(f"/proc/{waiting.pid}/status").read_text().splitlines()
    waiting.kill()
    uids = next(line for line in lines if line.startswith("Uid:")).split()[1:]
    return f"{own} {' '.join(sorted(set(uids)))}"


@probe("EPERM")
def files_are_given_away() -> str:
    """chown an own file to root, to another user of the dyno, to another group."""
    Path("/app/gift").write_text("")
    return refusals(*(lambda ids=ids: os.chown("/app/gift", *ids) for ids in ((0, 0), (1001, -1), (-1, 0), (-1, 42))))


@probe("EPERM")
def file_capabilities_are_set() -> str:
    """Set security.capability on an own file."""
    Path("/app/capable").write_text("")
    wanted = bytes.fromhex("0100000200200000000000000000000000000000")
    return refusal(lambda: os.setxattr("/app/capable", "security.capability", wanted))


@probe("EPERM")
def overlay_is_misled() -> str:
    """Set the overlay's own attributes (redirect, opaque, origin), make a whiteout."""
    Path("/app/upper").mkdir(exist_ok=True)
    names = ("redirect", "opaque", "metacopy", "origin")
    attributes = [lambda name=name: os.setxattr("/app/upper", f"trusted.overlay.{name}", b"/etc") for name in names]
    return refusals(*attributes, lambda: os.mknod("/app/whiteout", stat.S_IFCHR, 0))


@probe("EPERM")
def files_are_opened_by_handle() -> str:
    """open_by_handle_at: reach any inode of the disk below the overlay."""
    return calls((304, AT_FDCWD, bytes(16), 0))


@probe("neutral")
def paths_of_the_machine_are_seen() -> str:
    """Find out from /proc/self/mountinfo where on the machine the platform lies."""
    text = Path("/proc/self/mountinfo").read_text()
    return "neutral" if str(FACTS["state"]) not in text else text
