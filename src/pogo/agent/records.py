"""What is on disk about each container: `<state>/run/c/<id>/`, made before its start, gone with `remove`.

    spec    address number, slot, labels … (JSON)
    lock    held (flock) by the monitor as long as it lives; whoever gets it finds a container without one
    sock    the monitor's control socket
    spool   output
    exit    status, time, oom (JSON), written once by rename

So nothing of this depends on process ids, and a restart of the agent or of the machine needs no other trace.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pogo.agent import cgroups
from pogo.agent.installation import Installation
from pogo.errors import ContainerError

LOST = -1
_ROOM = 200  # bytes of `exit`; it has fewer


@dataclass(frozen=True)
class Record:
    """number: of its address in the subnet; continues: the containers on whose files it stands, nearest first.

    background: whether it is one of those that together weigh less than any other. disk: bytes that it may
    write; 0 for no limit.
    """

    id: str
    number: int
    address: str
    slot: int
    started_at: float
    outputs: bool
    continues: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    background: bool = False
    disk: int = 0


def observed(record: Record, end: dict[str, object] | None) -> dict[str, object]:
    """What callers are told of a container; `end` as `load_exit` gives it."""
    return {
        "id": record.id,
        "address": record.address,
        "started_at": record.started_at,
        "labels": record.labels,
        "exit": end,
    }


def directory(installation: Installation, id: str) -> Path:
    return installation.records / id


def group(installation: Installation, id: str, background: bool) -> str:
    """The container's control group, below each hierarchy. No id begins with a dot."""
    return f"{installation.cgroup}/c/.background/{id}" if background else f"{installation.cgroup}/c/{id}"


def _groups(installation: Installation, id: str) -> list[str]:
    """Where the payload of a container can be, also of one whose record is torn."""
    return [group(installation, id, background) for background in (False, True)]


def _monitor_group(installation: Installation, id: str) -> str:
    return f"{installation.cgroup}/m/{id}"


def create(installation: Installation, record: Record) -> tuple[int, socket.socket]:
    """Makes the record, all or nothing: its held lock and its listening control socket."""
    path = directory(installation, record.id)
    new = path.with_name(f".new-{record.id}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o710)
    os.chown(new, 0, installation.gid)
    (new / "spec").write_text(json.dumps(asdict(record)))
    (new / "exit.new").write_text(_ROOM * " ")  # taken now: how it ended shall be known on a full disk, too
    lock = os.open(new / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(new / "sock"))
    os.chown(new / "sock", 0, installation.gid)
    (new / "sock").chmod(0o660)
    listener.listen(64)
    new.rename(path)
    return lock, listener


def load(installation: Installation, id: str) -> Record | None:
    """None where there is no such record, or a power cut came before it was on the disk: see `erase_torn`."""
    try:
        fields = json.loads((directory(installation, id) / "spec").read_text())
    except (FileNotFoundError, ValueError):
        return None
    fields["continues"] = tuple(fields["continues"])
    return Record(**fields)


def load_exit(installation: Installation, id: str) -> dict[str, object] | None:
    """{"status", "at", "oom", "exceeded"} of an ended container.

    One that a power cut has torn is as good as none.
    """
    path = f"{installation.records}/{id}/exit"
    if not os.path.exists(path):  # as of nearly all of a thousand, in each `list`
        return None
    try:
        found: dict[str, object] = json.loads(Path(path).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def erase_torn(installation: Installation) -> None:
    """Removes the containers whose record a power cut has torn; nothing of them runs any more."""
    for path in installation.records.iterdir():
        if not path.name.startswith(".") and load(installation, path.name) is None:
            erase(installation, path.name)


def write_exit(installation: Installation, id: str, status: int, oom: bool = False, exceeded: str = "") -> None:
    path = directory(installation, id) / "exit"
    new = path.with_suffix(".new")
    end = {"status": status, "at": time.time(), "oom": oom, "exceeded": exceeded}
    with new.open("r+" if new.exists() else "w") as file:
        file.write(json.dumps(end).ljust(_ROOM))
    new.rename(path)


def lock(installation: Installation, id: str) -> int | None:
    """The lock of a container that has no monitor; None where one lives or there is no such record."""
    try:
        fd = os.open(f"{installation.records}/{id}/lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def sweep(installation: Installation, id: str, keep_files: bool) -> None:
    """Ends what still runs of a container and removes its control groups and, unless kept, its files."""
    for name in (*_groups(installation, id), _monitor_group(installation, id)):
        cgroups.kill(name)
        cgroups.remove(name)
    if not keep_files:
        clear(installation.scratch / id)


def clear(path: Path) -> None:
    """Removes a directory that a container has written, also one too deep for Python's stack and descriptors."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        args = ["/bin/rm", "-rf", "--one-file-system", "--", str(path)]
        subprocess.run(args, stderr=subprocess.DEVNULL, check=False)


def bury(installation: Installation, id: str) -> None:
    """For a container whose monitor is gone: ends it and records that its exit status is lost."""
    record = load(installation, id)
    sweep(installation, id, keep_files=record is not None and record.outputs)
    if load_exit(installation, id) is None:
        write_exit(installation, id, LOST)


def erase(installation: Installation, id: str) -> None:
    """Removes a container and everything it left; kills it first. Waits for its monitor's end, up to 15 s.

    Raises ContainerError where another container stands on its files.
    """
    path = directory(installation, id)
    if not path.is_dir():
        return
    with contextlib.suppress(FileNotFoundError):  # an ending monitor may clear it away just now
        held = os.open(installation.scratch / id, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ContainerError(f"{id} cannot be removed while a container continues it.") from None
        finally:
            os.close(held)
    deadline = time.monotonic() + 15
    while (fd := lock(installation, id)) is None and path.is_dir():
        if time.monotonic() > deadline:
            raise ContainerError(f"{id} cannot be removed: its monitor does not end.")
        if load_exit(installation, id) is None:
            kill_payload(installation, id)
        time.sleep(0.01)
    sweep(installation, id, keep_files=False)
    gone = path.with_name(f".gone-{id}")
    if path.is_dir():
        path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    if fd is not None:
        os.close(fd)


def kill_payload(installation: Installation, id: str) -> None:
    for name in _groups(installation, id):
        for pid in cgroups.processes(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
