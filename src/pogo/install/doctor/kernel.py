"""What the kernel can do, found out by doing it: each trial in a process of its own, whose traces go with it.

    python -m pogo.install.doctor.kernel DIRECTORY UID_BASE   →   checks as JSON

Versions are not looked at: distributions carry features back, and configurations leave them out. Its own
program, since namespaces want a process with one thread.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from pogo.agent import cgroups, images, network, syscalls
from pogo.agent.installation import UIDS_PER_APP, Installation
from pogo.errors import PogoError
from pogo.install.doctor.check import Check, as_json, failed, ok, warning
from pogo.process import run

AREA = "Kernel"
NEWER = "Debian's backports have a newer kernel: apt install -t bookworm-backports linux-image-amd64, then restart."
MODULES = "Restart the machine if its kernel was updated, and see whether its modules are there: modprobe {}"
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_SECCOMP_RET_ALLOW = 0x7FFF_0000


@dataclass
class Place:
    """Where trials are made: a directory on the disk of the installation, and an image to mount."""

    directory: Path
    uid_base: int

    @property
    def image(self) -> Path:
        return self.directory / "image"

    @property
    def whose(self) -> str:
        return f"0 {self.uid_base} {UIDS_PER_APP}"

    def installation(self) -> Installation:
        state = self.directory
        return Installation(state, IPv4Network("198.18.0.0/24"), self.uid_base, 1, 0, 0, state, state)


def tried(trial: Callable[[], object]) -> str:
    """What went wrong with a trial, in a child that has mounts of its own; empty where nothing did."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)
            trial()
        except BaseException as error:
            said = f"{error}" or type(error).__name__
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with open(read, "rb") as told:
        said = told.read().decode(errors="replace")
    _, waited = os.waitpid(pid, 0)
    return said or ("" if waited == 0 else f"the trial ended with {os.waitstatus_to_exitcode(waited)}")


def _squashfs(place: Place) -> int:
    image = os.open(place.image, os.O_RDONLY | os.O_CLOEXEC)
    device, path = syscalls.loop_configure(image)
    mount = syscalls.new_mount("squashfs", {"source": path, "ro": ""}, syscalls.MOUNT_ATTR_RDONLY)
    os.close(device)
    return mount


def _overlay(place: Place, mapped: Callable[[Place], int]) -> None:
    """As a dyno has it: an image with mapped owners below, a layer on the disk above. A file is copied up."""
    home = place.directory / "overlay"
    for name in ("lower", "upper", "work", "root"):
        (home / name).mkdir(parents=True, exist_ok=True)
    for name in ("upper", "work"):
        os.chown(home / name, place.uid_base, place.uid_base)
    syscalls.move_mount(mapped(place), str(home / "lower"))
    data = f"lowerdir={home}/lower,upperdir={home}/upper,workdir={home}/work,redirect_dir=on,volatile"
    syscalls.mount("overlay", str(home / "root"), "overlay", syscalls.MS_NOSUID | syscalls.MS_NODEV, data)
    seen = (home / "root" / "etc" / "file").stat().st_uid
    if seen != place.uid_base:
        raise OSError(f"an owner below the overlay is seen as {seen}, not as {place.uid_base}")
    (home / "root" / "etc" / "file").write_text("changed")
    (home / "root" / "etc").rename(home / "root" / "moved")
    if (home / "root" / "moved" / "file").read_text() != "changed":
        raise OSError("what was written is not what is read")


def _mapped_image(place: Place) -> int:
    mount = _squashfs(place)
    syscalls.mount_setattr(mount, syscalls.MOUNT_ATTR_RDONLY, syscalls.user_namespace(place.whose, place.whose))
    return mount


def _mapped_directory(place: Place) -> int:
    directory = os.open(place.directory / "tree", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount = syscalls.open_tree(directory)
    syscalls.mount_setattr(mount, syscalls.MOUNT_ATTR_RDONLY, syscalls.user_namespace(place.whose, place.whose))
    return mount


def _seccomp() -> None:
    """A filter that allows everything: that it is taken is what matters."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, _SECCOMP_RET_ALLOW))
    program = struct.pack("@HP", 1, ctypes.addressof(code))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _rules(place: Place) -> None:
    """The very rules of the platform, in a network of the trial's own."""
    syscalls.unshare(syscalls.CLONE_NEWNET)
    network.apply_rules(place.installation(), ["198.18.0.53"])


def _veth(place: Place) -> None:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    os.close(network.connect_container("pogotrial0", "198.18.0.9"))


def control_groups(uid: int) -> Check:
    """Makes one as every container has it. uid: only tells this trial from another one."""
    name = "control groups"
    layout = "one hierarchy (v2)" if cgroups.UNIFIED else "hierarchies of their own (v1)"
    if not cgroups.UNIFIED and (cgroups.ROOT / "unified").exists():
        layout = "hierarchies of their own beside v2 (hybrid)"
    group = f"pogo-doctor-{uid}"
    try:
        os.close(cgroups.memory_group(f"{group}/c", 64 << 20))
        cgroups.weigh(f"{group}/c", 256, background=False)
        lacking = _lacking(f"{group}/c")
    except OSError as error:
        advice = "Is /sys/fs/cgroup mounted and writable? Memory may be off: boot with cgroup_enable=memory."
        return failed(AREA, name, f"{layout}: {error}", advice, needed=True)
    finally:
        cgroups.remove(group)
    if lacking:
        advice = f"Mount or enable the controllers {', '.join(lacking)}: without them dynos have no such limit."
        return failed(AREA, name, f"{layout}, without {', '.join(lacking)}", advice, needed=True)
    moves = "moves are favoured" if cgroups.moves_are_favoured() else "moves are not favoured, so boots take longer"
    return ok(AREA, name, f"{layout}; memory, cpu and pids can be limited; {moves}")


def _lacking(group: str) -> list[str]:
    """The controllers of dynos' limits that this machine does not have for `group` (of `memory_group`)."""
    files = {"memory": "memory.max", "pids": "pids.max", "cpu": "cpu.weight"}
    if cgroups.UNIFIED:
        return [name for name, file in files.items() if not (cgroups.ROOT / group / file).exists()]
    wanted = ("memory", "pids", "cpu", "cpuacct", "devices", "freezer")
    return [name for name in wanted if not (cgroups.ROOT / name / "cgroup.procs").exists()]


def images_check(mounted: str, unpacked: str) -> Check:
    """mounted, unpacked: what went wrong with a mapped image, and with a mapped directory; empty: nothing."""
    name = "images with mapped owners"
    if not mounted:
        return ok(AREA, name, "stacks and slugs are mounted as they are")
    if not unpacked:
        found = f"not in this kernel ({mounted}): stacks and slugs are unpacked instead, once each"
        return warning(AREA, name, found, f"It works, with slower first boots and more disk. {NEWER}")
    return failed(AREA, name, f"neither images ({mounted}) nor directories ({unpacked})", NEWER, needed=True)


def checks(place: Place) -> list[Check]:
    def check(name: str, found: str, trial: Callable[[], object], advice: str) -> Check:
        wrong = tried(trial)
        return failed(AREA, name, wrong, advice, needed=True) if wrong else ok(AREA, name, found)

    tree = place.directory / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "file").write_text("content")
    run("mksquashfs", tree, place.image, "-quiet", "-no-progress", "-all-root", "-comp", "zstd")
    with_images = tried(lambda: images.require_mapped(place.image))
    with_directories = tried(lambda: os.close(_mapped_directory(place)))
    mapped = _mapped_directory if with_images else _mapped_image
    namespaces = "Allow user namespaces: sysctl user.max_user_namespaces has to be large."
    found = [
        check(
            "user namespaces", "can be made",
            lambda: os.close(syscalls.user_namespace(place.whose, place.whose)), namespaces,
        ),
        check("images on loop devices", "a squashfs was mounted", lambda: os.close(_squashfs(place)),
              MODULES.format("loop squashfs")),
        images_check(with_images, with_directories),
        check("overlay", "files are copied up and directories renamed", lambda: _overlay(place, mapped),
              f"POGO_STATE_DIR has to be on ext4, xfs or btrfs. {NEWER}"),
        check("system call filters", "seccomp takes them", _seccomp, "The kernel needs CONFIG_SECCOMP_FILTER."),
        control_groups(os.getpid()),
        check("packet filter", "nftables took the platform's rules", lambda: _rules(place),
              MODULES.format("nf_tables nft_fib_inet nft_masq nft_connlimit nft_reject_inet")),
        check("links of dynos", "a veth was made", lambda: _veth(place), MODULES.format("veth")),
    ]  # fmt: skip
    return [*found, *_pressure(), _forwarding()]


def _pressure() -> list[Check]:
    if Path("/proc/pressure/memory").exists():
        return [ok(AREA, "pressure", "is measured")]
    return [warning(AREA, "pressure", "is not measured", "Boot with psi=1, to see what the machine waits for.")]


def _forwarding() -> Check:
    file = Path("/proc/sys/net/ipv4/ip_forward")
    if file.read_text().strip() == "1":
        return ok(AREA, "forwarding", "packets of dynos are forwarded")
    advice = (
        "The agent switches it on when it starts; something has switched it off since: sysctl net.ipv4.ip_forward=1"
    )
    return warning(AREA, "forwarding", "packets are not forwarded", advice)


def main() -> None:
    above, uid_base = Path(sys.argv[1]), int(sys.argv[2])
    directory = Path(tempfile.mkdtemp(prefix=".doctor-", dir=above))
    try:
        directory.chmod(0o711)
        print(as_json(checks(Place(directory, uid_base))))
    except (OSError, PogoError) as error:
        print(as_json([failed(AREA, "trials", str(error), f"Is {above} writable, and is squashfs-tools installed?")]))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
