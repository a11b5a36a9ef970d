"""`pogo-agent cleanup`: nothing of an installation is left on this machine. For bin/down, when the agent has ended."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
from collections.abc import Iterator

from pogo.agent import cgroups, network, records
from pogo.agent.installation import Installation
from pogo.errors import ContainerError


def cleanup(installation: Installation) -> None:
    """Kills every container of the installation and removes all that it left on this machine."""
    _containers(installation)
    rtnetlink = network.Rtnetlink()
    for _, name in socket.if_nameindex():
        if name.startswith(installation.interface(0)[:-1]):
            with _missing_is_fine():
                rtnetlink.delete(name)
    network.delete_table(installation)
    with _missing_is_fine():
        rtnetlink.unreachable(installation.subnet, network.DELETE_ROUTE)
    for file in ("agent.sock", "agent.lock", "seccomp"):
        (installation.run / file).unlink(missing_ok=True)


@contextlib.contextmanager
def _missing_is_fine() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENODEV, errno.ESRCH):
            raise


def _containers(installation: Installation) -> None:
    ids = [path.name for path in installation.records.glob("*")] if installation.records.is_dir() else []
    for id in ids:
        records.kill_payload(installation, id)
    for id in ids:
        try:
            records.erase(installation, id)
        except ContainerError:
            _kill_monitor(installation, id)
            records.sweep(installation, id, keep_files=False)
    cgroups.kill(installation.cgroup)
    cgroups.remove(installation.cgroup)
    for path in (installation.records, installation.scratch, installation.run / "l", installation.run / "root"):
        records.clear(path)


def _kill_monitor(installation: Installation, id: str) -> None:
    """For a monitor that does not end by itself (stopped, say). Its lock was held, so the pid is its own.

    It may have ended meanwhile: on a busy machine it was only slow.
    """
    path = records.directory(installation, id) / "pid"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(path.read_text()), signal.SIGKILL)
