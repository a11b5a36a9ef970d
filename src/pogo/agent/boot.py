"""Booting one container, in the forked monitor: from a validated request to a running process."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import socket
import struct
import termios
import threading
from dataclasses import dataclass
from pathlib import Path

from pogo.agent import cgroups, lxc, network, records, rootfs, syscalls
from pogo.agent.installation import Installation
from pogo.errors import ContainerError

BOOT_SECONDS = 60
_PIPE_BYTES = 256 << 10
_CREDENTIALS = struct.Struct("=iII")  # of SCM_CREDENTIALS: pid, uid, gid


@dataclass
class Boot:
    """What a monitor inherits from the agent. lock, listener, client and `keep` stay open in it to its end.

    cpu: per cent of one CPU, 0 for no limit; files: that a process may have open.
    tty: (rows, columns); spool: bytes of output kept; keep: descriptors of images and inputs.
    """

    installation: Installation
    record: records.Record
    layout: rootfs.Layout
    cpu_shares: int
    cpu: int
    files: int
    tty: tuple[int, int] | None
    stdin: bool
    spool: int
    lock: int
    listener: socket.socket
    client: socket.socket
    keep: tuple[int, ...]

    @property
    def group(self) -> str:
        return records.group(self.installation, self.record.id, self.record.background)


@dataclass
class Process:
    """lxc-execute and our ends of the payload's streams, non-blocking. input: -1 where there is none.

    main: a pidfd of what the launcher becomes; LXC's init lives on as long as anything else in the container.
    """

    pid: int
    pidfd: int
    main: int
    output: int
    input: int
    oom: int


def start(boot: Boot) -> Process:
    """Returns when the launcher becomes the process. Raises OSError or ContainerError; then call `undo`."""
    installation, record, layout = boot.installation, boot.record, boot.layout
    connecting = _Connecting(installation.interface(record.number, builder=layout.builder), record.address)
    connecting.start()
    try:
        rootfs.make_scratch(installation, record.id, layout.base)
        rootfs.assemble(installation, layout)
        oom = cgroups.memory_group(boot.group, layout.memory)
        cgroups.weigh(boot.group, boot.cpu_shares, record.background)
        if boot.cpu:
            cgroups.limit_cpu(boot.group, boot.cpu)
    finally:
        connecting.join()
    netns = connecting.result()
    path = records.directory(installation, record.id)
    (path / "lxc.conf").write_text(
        lxc.configuration(
            id=record.id,
            base=layout.base,
            cgroup=installation.cgroup,
            group=boot.group,
            unified=cgroups.UNIFIED,
            rootfs=installation.state / rootfs.MOUNT_POINT,
            netns=f"/proc/{os.getpid()}/fd/{netns}",
            seccomp=installation.run / "seccomp",
            pids=layout.pids,
            files=boot.files,
            file_size=0 if record.background else record.disk,
            tcp=layout.quota // 8 if cgroups.TCP_APART else 0,
            tty=boot.tty is not None,
        )
    )
    ready, told = launcher_socket()
    args = lxc.command(id=record.id, home=installation.run, config=path / "lxc.conf", log=path / "lxc.log", ready=told)
    (read, write), output, input = streams(boot.tty, boot.stdin, layout.base + rootfs.APP_UID)
    pid = spawn(args, read, write, told, boot.tty is not None, record.background)
    for fd in {told, read, write}:
        os.close(fd)
    pidfd = os.pidfd_open(pid)
    main = launched(ready, pidfd)
    if main == 0:
        raise ContainerError(last_words(output, path / "lxc.log") or f"it was not ready after {BOOT_SECONDS} s")
    process = Process(pid, pidfd, os.pidfd_open(main), output, input, oom)
    if boot.tty is not None:
        pass_on_as_it_is(output)
    ready.send(b"go")
    ready.close()
    return process


class _Connecting(threading.Thread):
    """Makes the network while the files are mounted: a thread can be in a network of its own."""

    def __init__(self, interface: str, address: str) -> None:
        super().__init__()
        self.interface, self.address = interface, address
        self.netns = -1
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            self.netns = network.connect_container(self.interface, self.address)
        except OSError as error:
            self.error = error

    def result(self) -> int:
        """To be asked when it has ended. Raises its OSError."""
        if self.error:
            raise self.error
        return self.netns


def undo(boot: Boot) -> None:
    """After a boot that failed half-way: nothing is left. Mounts and link go with this process."""
    records.sweep(boot.installation, boot.record.id, keep_files=False)
    shutil.rmtree(records.directory(boot.installation, boot.record.id), ignore_errors=True)


def set_window(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))


def streams(tty: tuple[int, int] | None, stdin: bool, app: int) -> tuple[tuple[int, int], int, int]:
    """(standard input, standard output and error), our output end, our input end (-1 without `stdin`).

    They belong to the app's user: else it may not open /dev/stdout.
    """
    if tty is not None:
        master, slave = pty.openpty()
        set_window(master, *tty)
        os.set_blocking(master, False)
        return (slave, slave), master, os.dup(master)
    output, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    os.fchown(write, app, app)
    os.set_blocking(output, False)
    if not stdin:
        return (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), write), output, -1
    read, input = os.pipe()
    os.fchown(read, app, app)
    os.set_blocking(input, False)
    return (read, write), output, input


def spawn(args: list[str], read: int, write: int, told: int, terminal: bool, background: bool) -> int:
    """The pid of this LXC program with these standard streams, and `told` as its only other descriptor.

    Its class of I/O and how soon it is killed for its memory are this process's from here on.
    """
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("500" if background else "0")  # the kernel's first choice when the whole machine is short
    if background:
        syscalls.idle_io()
    os.set_inheritable(told, True)
    # A terminal that the leader of a session opens becomes the session's own.
    ours = (os.POSIX_SPAWN_OPEN, 0, os.ttyname(read), os.O_RDWR, 0) if terminal else (os.POSIX_SPAWN_DUP2, read, 0)
    return os.posix_spawn(
        shutil.which(args[0]) or args[0],
        args,
        {"PATH": "/nonexistent"},  # LXC would run newuidmap from it, slowly, which knows nothing of our uid ranges
        file_actions=[ours, (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, write, 2)],
        setsid=True,
        setsigdef=(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE),
    )


def launcher_socket() -> tuple[socket.socket, int]:
    """Our end, for `launched`, and the launcher's."""
    ready, launcher = socket.socketpair()
    ready.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return ready, launcher.detach()


def launched(ready: socket.socket, pidfd: int) -> int:
    """The pid of the launcher, as the kernel tells it, when it waits for the word to become the process; else 0."""
    poll = select.poll()
    poll.register(ready, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    poll.poll(BOOT_SECONDS * 1000)
    try:
        said, credentials, _, _ = ready.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size), socket.MSG_DONTWAIT)
    except (BlockingIOError, ConnectionError):
        return 0
    return int(_CREDENTIALS.unpack(credentials[0][2])[0]) if said == b"1" else 0


def pass_on_as_it_is(terminal: int) -> None:
    """LXC's terminal inside ends lines with CR LF already; ours, which LXC has set up by now, would add a CR."""
    modes = termios.tcgetattr(terminal)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(terminal, termios.TCSANOW, modes)


def last_words(output: int, log: Path | None = None) -> str:
    """What the launcher and LXC (in its log) say of a failed start."""
    try:
        said = os.read(output, 4096)
    except OSError:
        said = b""
    text = said + b"\n" + (log.read_bytes() if log and log.exists() else b"")
    return "\n".join(text.decode(errors="replace").strip().splitlines()[-6:])
