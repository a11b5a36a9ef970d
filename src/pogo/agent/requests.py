"""A `start` as it came from pogod, checked, with its images on loop devices: a `Boot` for the monitor.

The agent trusts no path of its caller: slug and inputs are open descriptors, a stack is a name.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
import time
from typing import Protocol

from pogo.agent import records, rootfs, syscalls
from pogo.agent.boot import Boot
from pogo.agent.installation import Installation
from pogo.agent.peers import Json
from pogo.errors import ContainerError

_ID = re.compile(r"[a-z0-9-]{1,40}")
_STACK = re.compile(r"[a-z0-9-]{1,60}")
_INPUT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Holder(Protocol):
    """What a request needs of the agent."""

    installation: Installation
    loops: dict[tuple[int, int], str]
    resolvers: tuple[str, ...] | None

    def free_number(self) -> int: ...


def prepare(agent: Holder, spec: Json, fds: list[int], client: socket.socket) -> Boot:
    """Raises ContainerError where the request cannot be met. Makes the record last, so that nothing is left.

    `fds`: the slug, if the spec says so, then one per input, in its order.
    """
    installation = agent.installation
    id, slot = str(spec["id"]), int(spec["slot"])
    _require(_ID.fullmatch(id) is not None, f"{id!r} is no id: it has to be 1 to 40 of a-z, 0-9 and -.")
    _require(
        0 <= slot < installation.max_apps, f"The slot {slot} is not below POGO_MAX_APPS ({installation.max_apps})."
    )
    _require(len(fds) == bool(spec["slug"]) + len(spec["inputs"]), "Descriptors are missing.")
    _require(all(_INPUT.fullmatch(name) for name in spec["inputs"]), "An input has a name that is no file name.")
    words = [*spec["command"], *(f"{name}={value}" for name, value in spec["env"].items())]
    _require(bool(spec["command"]) and bool(spec["command"][0]), "The command is empty.")
    _require(not any("\0" in word for word in words), "The command or a variable holds a NUL byte.")
    _require(not any("=" in name or not name for name in spec["env"]), "A variable has an impossible name.")
    _require(int(spec["limits"]["memory"]) >= 4 << 20, "A container needs at least 4 MiB of memory.")

    continues = _chain(installation, spec["continues"], slot)
    number = agent.free_number()
    keep: list[int] = [*fds]
    try:
        keep += _hold(installation, continues)
        stack, stack_fd = _stack(agent, str(spec["stack"]))
        keep.append(stack_fd)
        slug = None
        if spec["slug"]:
            slug, slug_fd = _loop(agent, fds[0])
            keep.append(slug_fd)
        record = records.Record(
            id=id,
            number=number,
            address=installation.address(number),
            slot=slot,
            started_at=time.time(),
            outputs=bool(spec["outputs"]),
            continues=continues,
            labels={str(key): str(value) for key, value in spec["labels"].items()},
            background=bool(spec["limits"].get("background")),
        )
        layout = rootfs.Layout(
            id=id,
            base=installation.base(slot),
            stack=stack,
            slug=slug,
            continues=continues,
            inputs=dict(zip(spec["inputs"], fds[bool(spec["slug"]) :], strict=True)),
            outputs=record.outputs,
            builder=bool(spec["builder"]),
            command=tuple(spec["command"]),
            env=spec["env"],
            address=record.address,
            resolvers=agent.resolvers or (),
            memory=int(spec["limits"]["memory"]),
            pids=int(spec["limits"]["pids"]),
        )
        lock, listener = records.create(installation, record)
    except BaseException:
        for fd in keep[len(fds) :]:
            os.close(fd)
        raise
    return Boot(
        installation=installation,
        record=record,
        layout=layout,
        cpu_shares=int(spec["limits"]["cpu_shares"]),
        tty=tuple(spec["tty"]) if spec["tty"] else None,
        stdin=bool(spec["stdin"]),
        spool=max(64 << 10, int(spec["spool"])),
        disk=int(spec["limits"].get("disk", 0)),
        reserve=int(spec["limits"].get("reserve", 0)),
        lock=lock,
        listener=listener,
        client=client,
        keep=tuple(keep),
    )


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ContainerError(otherwise)


def _chain(installation: Installation, id: str, slot: int) -> tuple[str, ...]:
    """The containers on whose files a new one stands, nearest first."""
    if not id:
        return ()
    record = records.load(installation, id) if _ID.fullmatch(id) else None
    if record is None or not record.outputs or records.load_exit(installation, id) is None:
        raise ContainerError(f"{id!r} cannot be continued: it is gone, still runs, or was started without outputs.")
    if record.slot != slot:
        raise ContainerError(f"{id!r} cannot be continued by a container of another app.")
    chain = (id, *record.continues)
    _require(len(chain) < rootfs.LAYERS, f"{id!r} cannot be continued: it stands on too many others.")
    return chain


def _hold(installation: Installation, ids: tuple[str, ...]) -> list[int]:
    """Shared locks on their files, which keep `remove` away as long as the descriptors are open."""
    held = []
    for id in ids:
        held.append(os.open(installation.scratch / id, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        fcntl.flock(held[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
    return held


def _stack(agent: Holder, name: str) -> tuple[str, int]:
    _require(_STACK.fullmatch(name) is not None, f"{name!r} is no name of a stack.")
    path = agent.installation.state / "stacks" / name / "current"
    try:
        image = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ContainerError(
            f"The stack {name} is not installed on this platform. Its operator can add it: pogo stack:build {name}"
        ) from None
    try:
        return _loop(agent, image)
    finally:
        os.close(image)


def _loop(agent: Holder, image: int) -> tuple[str, int]:
    """A loop device over the image: (path, descriptor, which has to stay open until it is mounted).

    The same image has the same device, hence the same superblock and page cache. The agent is alone and
    single-threaded, so nothing else makes devices for this installation.
    """
    there = os.fstat(image)
    _require(stat.S_ISREG(there.st_mode), "An image has to be a plain file.")
    key = (there.st_dev, there.st_ino)
    if known := agent.loops.get(key):
        try:
            device = os.open(known, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            device = -1
        if device >= 0 and syscalls.loop_backing(device) == key:
            return known, device
        if device >= 0:
            os.close(device)
    device, path = syscalls.loop_configure(image)
    agent.loops[key] = path
    return path, device
