"""What one dyno can use up, of its own limits or of the machine's."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import socket
import threading
import time
from collections.abc import Callable

from probes.probing import child, name_of, probe, refusal

MB = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def _until_refused(attempt: Callable[[], object], most: int) -> tuple[int, str]:
    """How often it went well, and what refused it."""
    for count in range(most):
        try:
            attempt()
        except (OSError, RuntimeError) as error:
            return count, name_of(error) if isinstance(error, OSError) else str(error)
    return most, "never refused"


def _fork_sleeper() -> None:
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)


def _fork_zombie() -> None:
    if os.fork() == 0:
        os._exit(0)


@probe("EAGAIN")
def processes() -> str:
    """Fork until refused: less than the size's 256."""
    count, why = _until_refused(_fork_sleeper, 400)
    return why if count < 256 else f"{count} {why}"


@probe("EAGAIN")
def zombies() -> str:
    """Fork children that end and are not waited for."""
    count, why = _until_refused(_fork_zombie, 400)
    return why if count < 256 else f"{count} {why}"


@probe("can't start new thread")
def threads() -> str:
    """Start threads until refused."""
    count, why = _until_refused(lambda: threading.Thread(target=time.sleep, args=(30,), daemon=True).start(), 400)
    return why if count < 256 else f"{count} {why}"


@probe("ended")
def fork_bomb() -> str:
    """Every process forks for as long as it can."""
    if child(_bomb) < 0:
        return "killed"
    return "ended"


def _bomb() -> None:
    end = time.monotonic() + 2
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            os.fork()


@probe("EMFILE")
def open_files() -> str:
    """Open files until refused: 10,000 a process."""
    count, why = _until_refused(lambda: os.open("/dev/null", os.O_RDONLY), 20_000)
    return why if count < 10_000 else f"{count} {why}"


@probe("killed by 9")
def memory() -> str:
    """Take 3 GB of memory."""
    return f"killed by {-child(lambda: _touch(mmap.mmap(-1, 3 << 30)))}"


@probe("killed by 9")
def memory_of_a_nameless_file() -> str:
    """Take 3 GB by memfd_create, in files of 80 MB."""
    return f"killed by {-child(_fill_memfd)}"


def _fill_memfd() -> None:
    kept = [os.memfd_create("x") for _ in range(40)]
    for fd in kept:
        os.ftruncate(fd, 80 * MB)
    for fd in kept:
        _touch(mmap.mmap(fd, 80 * MB))


def _touch(area: mmap.mmap) -> None:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(area)), 1, len(area))


@probe("ENOSPC at 64 MB")
def shared_memory() -> str:
    """Fill /dev/shm."""
    count, why = _fill("/dev/shm/ballast", 200)
    os.unlink("/dev/shm/ballast")
    return f"{why} at {count} MB"


def _fill(path: str, most: int) -> tuple[int, str]:
    block = bytes(MB)
    with open(path, "wb", buffering=0) as file:
        written = 0
        while written < most * MB:
            try:
                written += file.write(block)
            except OSError as error:
                return written // MB, name_of(error)
    return most, "never refused"


@probe("bounded by memory")
def buffers_of_sockets() -> str:
    """Fill the buffers of connections that nobody reads: TCP's memory is one number for the whole machine."""
    return "bounded by memory" if child(_stuff_sockets) in (-9, 0) else "?"


def _stuff_sockets() -> None:
    """The test looks at how much the machine holds meanwhile."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    kept = []
    block = bytes(MB)
    end = time.monotonic() + 3
    while time.monotonic() < end and len(kept) < 400:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * MB)
        one.setblocking(False)
        kept += [one, other]
        with contextlib.suppress(BlockingIOError):
            for _ in range(16):
                one.send(block)
    time.sleep(0.5)


@probe("EMFILE")
def inotify() -> str:
    """Make watchers of files until refused: 10,000 files, not root's number of them. The test makes one meanwhile."""
    count, why = _until_refused(_inotify, 20_000)
    time.sleep(1)
    return why if count > 9000 else f"{count} {why}"


def _inotify() -> None:
    if _libc.inotify_init1(0) < 0:
        raise OSError(ctypes.get_errno(), "refused")


@probe("E2BIG")
def huge_environment() -> str:
    """Run a program with 3 MB of environment, and with one variable of 200 KB."""
    found = {
        refusal(lambda env=env: os.execve("/bin/true", ["true"], env))  # type: ignore[misc]
        for env in ({"A": "x" * 200_000}, {f"A{number}": "x" * 100_000 for number in range(30)})
    }
    return ", ".join(sorted(found))


@probe("EMFILE")
def listening_sockets() -> str:
    """Listen on every port: they are the dyno's own."""
    kept: list[socket.socket] = []
    ports = iter(range(1024, 60_000))
    count, why = _until_refused(lambda: kept.append(socket.create_server(("0.0.0.0", next(ports)))), 30_000)
    return why if count < 10_000 else f"{count} {why}"


@probe("sent")
def connections_through_the_machine() -> str:
    """20,000 datagrams to as many ports outside, each an entry in the machine's table of connections."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for port in range(20_000):
            with contextlib.suppress(OSError):
                sender.sendto(b"x", ("192.0.2.1", 1024 + port))
    return "sent"


@probe("done")
def busy_processors() -> str:
    """32 processes that compute for three seconds. The test measures a neighbour meanwhile."""
    end = time.monotonic() + 3
    pids = []
    for _ in range(32):
        pid = os.fork()
        if pid == 0:
            while time.monotonic() < end:
                pass
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    return "done"


@probe("done")
def log_flood() -> str:
    """Write lines as fast as possible for two seconds. The test measures a neighbour meanwhile."""
    end = time.monotonic() + 2
    block = b"flood " * 15 + b"\n"
    while time.monotonic() < end:
        os.write(1, block * 100)
    return "done"


@probe("left behind")
def deep_directories() -> str:
    """Leave a tree of 1,200 directories behind, deeper than any path: who removes it must not stumble."""
    os.mkdir("/app/deep")
    os.chdir("/app/deep")
    for _ in range(1200):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)
    return "left behind"


@probe("EFBIG")
def one_large_file() -> str:
    """Write one file larger than the dyno's disk."""
    with open("/app/ballast", "wb") as file:
        return refusal(lambda: os.truncate(file.fileno(), resource.getrlimit(resource.RLIMIT_FSIZE)[1] + 1))
