"""A boot happens in a child of the monitor, which hands the running process over and ends.

A boot dirties three megabytes of the memory that a forked Python shares with its agent. The monitor stays as long as
its dyno, so it does as little as it can: a thousand of them have to fit.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from pogo.agent import boot as booting
from pogo.agent import records, syscalls
from pogo.agent.boot import Boot, Process
from pogo.agent.installation import Installation
from pogo.agent.peers import answer, receive_fds
from pogo.errors import ContainerError

_PID = struct.Struct("=i")


@dataclass(frozen=True)
class Charge:
    """What a monitor has to know of its container; `boot` tells all the rest, at the price of a megabyte.

    spool: bytes of output kept; listener, client: where it is called, and who waits for the answer to `start`.
    """

    installation: Installation
    id: str
    spool: int
    outputs: bool
    terminal: bool
    stdin: bool
    background: bool
    listener: socket.socket
    client: socket.socket
    boot: Callable[[], Boot]


def start(charge: Charge) -> Process | None:
    """Boots and answers the caller. None where that failed: then nothing of it is left."""
    ours, theirs = socket.socketpair()
    syscalls.adopt_orphans(True)
    child = syscalls.fork()
    if child == 0:
        ours.close()
        try:
            syscalls.die_with_parent()
            _boot(charge.boot(), theirs)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    theirs.close()
    with ours:
        said, fds = receive_fds(ours, _PID.size, 4)
        os.waitpid(child, 0)  # from here on, the process is ours to wait for
    syscalls.adopt_orphans(False)
    if len(said) < _PID.size:
        if records.directory(charge.installation, charge.id).is_dir():
            refuse(charge.boot(), ContainerError("its boot was killed"))
        return None
    (pid,) = _PID.unpack(said)
    charge.client.close()
    main, output, oom, *input = fds
    return Process(pid, os.pidfd_open(pid), main, output, input[0] if input else -1, oom)


def refuse(boot: Boot, error: Exception) -> None:
    """Undoes a boot that failed, then tells the caller."""
    booting.undo(boot)
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    answer(boot.client, {"error": f"The container {boot.record.id} cannot be started: {error}", "full": full})


def _boot(boot: Boot, monitor: socket.socket) -> None:
    try:
        process = booting.start(boot)
    except (OSError, ContainerError) as error:
        refuse(boot, error)
        return
    fds = [process.main, process.output, process.oom, *([process.input] if process.input >= 0 else [])]
    socket.send_fds(monitor, [_PID.pack(process.pid)], fds)
    answer(boot.client, records.observed(boot.record, None))
