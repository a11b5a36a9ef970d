"""Namespaces, groups, and the processes of others."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import struct
from pathlib import Path

from probes.probing import FACTS, calls, probe, refusal, refusals

NEW = {
    "mnt": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "time": 0x80,
}


def _open(path: str, flags: int = os.O_RDONLY) -> None:
    os.close(os.open(path, flags))


@probe("EPERM")
def namespaces_by_unshare() -> str:
    """unshare: user, mount, net, pid, ipc, uts, cgroup, time; user with others at once."""
    return calls(*((272, flag) for flag in NEW.values()), (272, NEW["user"] | NEW["mnt"] | NEW["net"]))


@probe("EPERM")
def namespaces_by_clone() -> str:
    """clone(CLONE_NEWUSER), with other namespaces too."""
    return calls(*((56, NEW["user"] | flag | 17, None, None, None, 0) for flag in (0, NEW["net"], NEW["mnt"])))


@probe("ENOSYS")
def namespaces_by_clone3() -> str:
    """clone3, whose flags no filter can see: it has to be missing."""
    arguments = ctypes.create_string_buffer(NEW["user"].to_bytes(8, "little"), 88)
    return calls((435, arguments, 88))


@probe("EACCES, EPERM")
def namespaces_of_others() -> str:
    """Open init's namespaces and enter them; setns on an own one."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    pidfd = os.pidfd_open(1)
    opened = [lambda kind=kind: _open(f"/proc/1/ns/{kind}") for kind in ("mnt", "user", "net", "pid")]
    return refusals(*opened) + ", " + calls((308, own, NEW["net"]), (308, pidfd, NEW["mnt"]))


@probe("own only")
def processes_of_the_machine() -> str:
    """Look for processes of the machine and of other dynos in /proc; signal pogod by its number."""
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    owners = {os.stat(f"/proc/{number}").st_uid for number in numbers}
    pogod = int(str(FACTS["pogod"]))
    if owners - {1000} or len(numbers) > 10:
        return f"{len(numbers)} processes of {owners}"
    return "own only" if refusal(lambda: os.kill(pogod, 0)) == "ESRCH" or pogod in numbers else "pogod is seen"


@probe("EACCES")
def environment_of_init() -> str:
    """Read the environment, memory, descriptors and root of process 1, which LXC started."""
    files = [lambda name=name: _open(f"/proc/1/{name}") for name in ("environ", "mem", "maps", "auxv")]
    links = [lambda name=name: os.readlink(f"/proc/1/{name}") for name in ("root", "cwd", "exe")]
    return refusals(*files, *links, lambda: os.listdir("/proc/1/fd"))


@probe("EPERM")
def memory_of_init() -> str:
    """ptrace, process_vm_readv, process_vm_writev, pidfd_getfd on process 1."""
    pidfd = os.pidfd_open(1)
    here = ctypes.create_string_buffer(8)
    place = struct.pack("=QQ", ctypes.addressof(here), 8)
    read, write = ((number, 1, place, 1, place, 1, 0) for number in (310, 311))
    return calls((101, 16, 1, 0, 0), (101, 0x4206, 1, 0, 0), read, write, (438, pidfd, 0, 0))


@probe("alive")
def init_is_killed() -> str:
    """SIGKILL and SIGSTOP to process 1, on which the monitor waits."""
    os.kill(1, 9)
    os.kill(1, 19)
    return "alive" if "State:\tT" not in Path("/proc/1/status").read_text() else "stopped"


@probe("EACCES")
def kernel_memory() -> str:
    """Read /proc/kcore, kmsg, kpagecount, slabinfo, vmallocinfo, timer_list."""
    names = ("kcore", "kmsg", "kpagecount", "kpageflags", "slabinfo", "vmallocinfo", "timer_list")
    return refusals(*(lambda name=name: _open(f"/proc/{name}") for name in names if os.path.exists(f"/proc/{name}")))


@probe("nothing")
def secrets_of_the_kernel() -> str:
    """Read the machine's kernel command line, keys, and addresses of kernel code (kallsyms)."""
    found = [name for name in ("cmdline", "keys", "kallsyms") if Path(f"/proc/{name}").read_text()[:1000]]
    return ", ".join(found) or "nothing"


@probe("none")
def groups_are_left() -> str:
    """Find a control group file (tasks, release_agent, limits) that can be written."""
    found = [
        os.path.join(place, name)
        for place, _, names in os.walk("/sys/fs/cgroup")
        for name in names
        if name != "pids.max" and os.access(os.path.join(place, name), os.W_OK)
    ]
    paths = {line.strip().split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    return ", ".join(found) or ("none" if paths <= {"/"} else str(paths))


@probe("EPERM")
def limits_are_raised() -> str:
    """Raise the hard limits of open files, locked memory, priority, core files."""

    def raised(kind: int) -> None:
        _, hard = resource.getrlimit(kind)
        wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard + 4096
        try:
            resource.setrlimit(kind, (wanted, wanted if hard != resource.RLIM_INFINITY else hard))
        except ValueError:
            raise OSError(1, "not allowed to raise maximum limit") from None

    kinds = (
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_NICE,
        resource.RLIMIT_RTPRIO,
        resource.RLIMIT_CORE,
    )
    return refusals(*(lambda kind=kind: raised(kind) for kind in kinds))


@probe("EACCES, EPERM")
def priority_is_raised() -> str:
    """Negative nice, real-time scheduling, real-time I/O, a lower OOM score."""

    def score() -> None:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")

    return refusals(
        lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        score,
    ) + ("" if (said := calls((251, 1, 0, 1 << 13))) == "EPERM" else f", ioprio {said}")


@probe("none")
def unix_sockets_of_the_machine() -> str:
    """Connect to abstract unix sockets of the machine, and to those of agent, pogod and router by their paths."""
    found = [line for line in Path("/proc/net/unix").read_text().splitlines()[1:] if "@" in line]
    state = str(FACTS["state"])
    for address in (
        f"\0{FACTS['abstract']}",
        f"{state}/run/agent.sock",
        f"{state}/run/pogod.sock",
        f"{state}/run/haproxy.sock",
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            if refusal(lambda: connection.connect(address)) not in ("ECONNREFUSED", "ENOENT"):  # noqa: B023
                found.append(address)
    return ", ".join(found) or "none"
