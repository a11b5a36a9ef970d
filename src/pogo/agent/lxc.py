"""The command and configuration with which LXC starts a container on a root file system made before.

`lxc-execute`, not `lxc-start`, which loses exit codes. What each line is for: docs/decisions/0003.
"""

from __future__ import annotations

import resource
from pathlib import Path

FILES = 10_000  # that a process may have open: Heroku's number
_DENIED = """
acct add_key bpf delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter
io_uring_register io_uring_setup kexec_file_load kexec_load keyctl lookup_dcookie mount mount_setattr
move_mount nfsservctl open_by_handle_at open_tree perf_event_open pivot_root quotactl quotactl_fd reboot
request_key setns swapoff swapon sysfs syslog umount2 uselib userfaultfd vhangup
"""
_DEVICES = ("1:3", "1:5", "1:7", "1:8", "1:9", "5:*", "136:*")  # null zero full random urandom tty ptmx pts
_HIDDEN = ("cmdline", "kallsyms", "keys")  # of /proc: how the machine was booted, its kernel's code, its keys
_NEW_USER_NAMESPACE = "[0,268435456,SCMP_CMP_MASKED_EQ,268435456]"
_PAGE_AT_ZERO = "[0,1048576,SCMP_CMP_MASKED_EQ,1048576]"
# Sockets: unix, IPv4, IPv6, netlink, packet (which asks for a right no dyno has). vsock would reach the hypervisor.
# By the bits that 3, 4 to 7, 8 and 9, 11, 12 to 15 share: LXC keeps 3.5 KB of each rule as long as the dyno runs.
_RARE = {3: 0xFFFFFFFF, 4: 0xFFFFFFFC, 8: 0xFFFFFFFE, 11: 0xFFFFFFFF, 12: 0xFFFFFFFC}
_FAMILIES = (*(f"[0,{bits},SCMP_CMP_MASKED_EQ,{mask}]" for bits, mask in _RARE.items()), "[0,17,SCMP_CMP_GT]")


def seccomp_profile() -> str:
    """Denied calls answer EPERM. `clone3` answers ENOSYS: its flags cannot be seen, and libc then takes `clone`.

    So do `io_setup`, of whose contexts the whole machine has one number, and `socketcall`, whose family cannot be
    seen either. Rare families of sockets answer EAFNOSUPPORT.
    """
    lines = ["2", "denylist", "[all]", *(f"{name} errno 1" for name in _DENIED.split())]
    lines += [f"{name} errno 1 {_NEW_USER_NAMESPACE}" for name in ("clone", "unshare")]
    lines += [f"personality errno 1 {_PAGE_AT_ZERO}", *(f"socket errno 97 {family}" for family in _FAMILIES)]
    return "\n".join([*lines, *(f"{name} errno 38" for name in ("clone3", "io_setup", "socketcall")), ""])


def configuration(
    *,
    id: str,
    base: int,
    cgroup: str,
    group: str,
    unified: bool,
    rootfs: Path,
    netns: str,
    seccomp: Path,
    pids: int,
    files: int,
    file_size: int,
    tcp: int,
    tty: bool,
) -> str:
    """The text of the configuration file.

    cgroup: the installation's group; group: the container's; unified: cgroup v2; netns: a path; files: that a process
    may have open, where this process may; file_size: of one
    file, in bytes, 0 for any; tcp: bytes of socket buffers where they have a limit of their own, else 0.
    """
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], files)
    limit = "lxc.cgroup2" if unified else "lxc.cgroup"
    lines = [
        f"lxc.uts.name = {id}",
        f"lxc.rootfs.path = dir:{rootfs}",
        f"lxc.idmap = u 0 {base} 65536",
        f"lxc.idmap = g 0 {base} 65536",
        f"lxc.namespace.share.net = {netns}",
        "lxc.mount.auto = proc:mixed",
        "lxc.mount.entry = tmpfs dev/shm tmpfs rw,nosuid,nodev,mode=1777,size=64m,create=dir 0 0",
        *(f"lxc.mount.entry = /dev/null proc/{name} none bind,optional 0 0" for name in _HIDDEN),
        "lxc.mount.entry = none proc/pressure tmpfs ro,nosuid,nodev,noexec,size=4k,optional 0 0",
        "lxc.apparmor.profile = unconfined",
        "lxc.tty.max = 0",
        "lxc.pty.max = 64",
        "lxc.no_new_privs = 1",
        "lxc.cap.keep = none",
        "lxc.init.uid = 1000",
        "lxc.init.gid = 1000",
        "lxc.init.cwd = /app",
        f"lxc.seccomp.profile = {seccomp}",
        f"lxc.prlimit.nofile = {files}",
        f"lxc.prlimit.fsize = {file_size or 'unlimited'}",
        "lxc.prlimit.core = 0",
        f"{limit}.pids.max = {pids}",
        f"{limit}.devices.deny = a",
        *(f"{limit}.devices.allow = c {device} rw" for device in _DEVICES),
        *([f"{limit}.memory.kmem.tcp.limit_in_bytes = {tcp}"] if tcp else []),
        f"lxc.cgroup.dir.container = {group}/p",
        f"lxc.cgroup.dir.monitor = {cgroup}/m/{id}",
        f"lxc.cgroup.dir.monitor.pivot = {cgroup}/pivot",
    ]
    if not tty:
        lines.append("lxc.console.path = none")
    return "\n".join([*lines, ""])


def command(*, id: str, home: Path, config: Path, log: Path, ready: int) -> list[str]:
    """Its arguments hold nothing of the app: the launcher finds command and environment in a file."""
    options = ["-n", id, "-P", str(home), "-f", str(config), "-o", str(log), "-l", "ERROR"]
    return ["lxc-execute", *options, "--", "/usr/bin/perl", "/pogo/launch", str(ready)]


def join_command(*, id: str, home: Path, config: Path, launch: str, ready: int) -> list[str]:
    """Runs a second launcher in the container that runs. What it becomes comes through its descriptor `ready`.

    The configuration is named for its resource limits alone: LXC asks the container itself for all the rest.
    """
    options = ["-n", id, "-P", str(home), "-f", str(config), "-o", "/dev/null", "--clear-env"]
    return ["lxc-attach", *options, "-u", "1000", "-g", "1000", "--", "/usr/bin/perl", "-e", launch, str(ready)]
