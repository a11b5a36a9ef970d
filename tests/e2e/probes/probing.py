"""How a probe is written down and run: in a process of its own, bounded in time."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 20
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@dataclass(frozen=True)
class Probe:
    name: str
    topic: str
    tries: str
    expected: str
    run: Callable[..., object]


PROBES: dict[str, Probe] = {}
FACTS: dict[str, object] = {}


def probe(expected: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Registers a probe under the name of its function. expected: the whole answer."""

    def register(function: Callable[..., object]) -> Callable[..., object]:
        topic = function.__module__.rpartition(".")[2]
        tries = (function.__doc__ or "").strip()
        PROBES[function.__name__] = Probe(function.__name__, topic, tries, expected, function)
        return function

    return register


def refusal(attempt: Callable[[], object]) -> str:
    """The name of the error with which an attempt ends; what it got where there is none."""
    try:
        got = attempt()
    except OSError as error:
        return name_of(error)
    return f"done: {got!r}"


def name_of(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


def refusals(*attempts: Callable[[], object]) -> str:
    """The different refusals of several attempts."""
    return ", ".join(sorted({refusal(attempt) for attempt in attempts}))


def syscall(number: int, *args: object) -> int:
    """A system call by its number (x86-64). Raises OSError."""
    result = int(_libc.syscall(ctypes.c_long(number), *args))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def calls(*attempts: tuple[object, ...]) -> str:
    """The different refusals of system calls, each a tuple of its number and arguments."""
    return refusals(*(lambda attempt=attempt: syscall(*attempt) for attempt in attempts))  # type: ignore[misc]


def child(work: Callable[[], object]) -> int:
    """The wait status of a forked process that does this; negative: the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(found: Probe) -> str:
    """What came of it. The probe and all its descendants are killed at its end, and after SECONDS."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        try:
            said = str(found.run())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode()[:3000])
        os._exit(0)
    os.close(write)
    ready, _, _ = select.select([read], [], [], SECONDS)
    said = os.read(read, 4096).decode(errors="replace") if ready else f"no end within {SECONDS} s"
    os.close(read)
    for _ in range(20):  # a bomb goes on while it is being killed
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        time.sleep(0.02)
        while _reaped():
            pass
    os.waitpid(pid, os.WNOHANG) if _is_there(pid) else None
    return said or "killed"


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def main(facts: str, topics: list[str]) -> None:
    FACTS.update(json.loads(facts))
    for found in [*PROBES.values()]:
        if found.topic in topics:
            began = time.monotonic()
            said = run(found)
            line = {"probe": found.name, "found": said, "seconds": round(time.monotonic() - began, 2)}
            print("\n" + json.dumps(line), flush=True)
