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

from pogo.agent import images, lxc, records, rootfs, syscalls
from pogo.agent.boot import Boot
from pogo.agent.images import Image
from pogo.agent.installation import Installation
from pogo.agent.peers import Json
from pogo.errors import ContainerError

_MOST_INPUTS = 32
_MOST_TEXT = 1 << 20  # Linux allows 2 MB, 128 KiB for one of them
_MOST_LABELS = 8 << 10
_MOST_BYTES = 1 << 50
_MOST_SPOOL = 256 << 20

ID = re.compile(r"[a-z0-9-]{1,40}")
_STACK = re.compile(r"[a-z0-9-]{1,60}")
_INPUT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Holder(Protocol):
    """What a request needs of the agent."""

    installation: Installation
    loops: dict[tuple[int, int], str]
    resolvers: tuple[str, ...] | None
    mounted: bool

    def free_number(self) -> int: ...


def prepare(agent: Holder, spec: Json, fds: list[int], client: socket.socket) -> Boot:
    """Raises ContainerError where the request cannot be met. Makes the record last, so that nothing is left.

    `fds`: the slug, if the spec says so, then one per input, in its order.
    """
    installation = agent.installation
    id, limits = str(spec["id"]), spec["limits"]
    require(ID.fullmatch(id) is not None, f"{id!r} is no id: it has to be 1 to 40 of a-z, 0-9 and -.")
    slot = _number(spec["slot"], f"The slot (of POGO_MAX_APPS, {installation.max_apps})", 1, installation.max_apps)
    has_slug, stdin, outputs, builder = (_flag(spec, name) for name in ("slug", "stdin", "outputs", "builder"))
    inputs = spec["inputs"]
    require(isinstance(inputs, list) and len({*inputs}) == len(inputs) <= _MOST_INPUTS, "The inputs are no short list.")
    require(all(_INPUT.fullmatch(name) for name in inputs), "An input has a name that is no file name.")
    require(len(fds) == has_slug + len(inputs), "Descriptors are missing.")
    for fd in fds:
        _require_readable(fd)
    command, env, tty = program(spec)
    labels = _pairs(spec["labels"])
    _require_size("labels", _MOST_LABELS, *labels, *labels.values())
    memory = _number(limits["memory"], "The memory", 4 << 20, _MOST_BYTES)
    quota = _number(limits.get("quota") or memory, "The memory quota", 1, memory)
    cpu = _number(limits.get("cpu", 0), "The limit of CPU", 0, 1 << 20)
    files = _number(limits.get("files", lxc.FILES), "The number of open files", 16, 1 << 30)
    pids = _number(limits["pids"], "The number of processes", 1, 1 << 22)
    cpu_shares = _number(limits["cpu_shares"], "The share of CPU", 2, 1 << 18)
    disk = _number(limits.get("disk", 0), "The disk", 0, _MOST_BYTES)
    spool = max(64 << 10, _number(spec["spool"], "The spool", 0, _MOST_SPOOL))

    continues = _chain(installation, str(spec["continues"]), slot)
    number = agent.free_number()
    keep: list[int] = [*fds]
    try:
        keep += _hold(installation, continues)
        stack, held = _stack(agent, str(spec["stack"]))
        keep += held
        slug = None
        if has_slug:
            slug, held = _image(agent, fds[0], images.unpacker(installation))
            keep += held
        record = records.Record(
            id=id,
            number=number,
            address=installation.address(number),
            slot=slot,
            started_at=time.time(),
            outputs=outputs,
            continues=continues,
            labels=labels,
            background=bool(limits.get("background")),
            disk=disk,
        )
        layout = rootfs.Layout(
            id=id,
            base=installation.base(slot),
            stack=stack,
            slug=slug,
            continues=continues,
            inputs=dict(zip(inputs, fds[has_slug:], strict=True)),
            outputs=outputs,
            builder=builder,
            command=command,
            env=env,
            address=record.address,
            resolvers=agent.resolvers or (),
            memory=memory,
            quota=quota,
            pids=pids,
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
        cpu_shares=cpu_shares,
        cpu=cpu,
        files=files,
        tty=tty,
        stdin=stdin,
        spool=spool,
        lock=lock,
        listener=listener,
        client=client,
        keep=tuple(keep),
    )


def program(spec: Json) -> tuple[tuple[str, ...], dict[str, str], tuple[int, int] | None]:
    """What to run: argv, the whole environment, (rows, columns) of its terminal. Raises ContainerError."""
    command, env = _texts(spec["command"]), _pairs(spec["env"])
    require(bool(command) and bool(command[0]), "The command is empty.")
    require(not any("=" in name or not name for name in env), "A variable has an impossible name.")
    _require_size("command and environment", _MOST_TEXT, *command, *env, *env.values())
    if spec["tty"] is None:
        return command, env, None
    rows, columns = (_number(value, "The size of a terminal", 1, 65535) for value in spec["tty"])
    return command, env, (rows, columns)


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ContainerError(otherwise)


def _number(value: object, what: str, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ContainerError(f"{what} has to be a number from {lowest} to {highest}, not {str(value)[:40]}.")
    return value


def _flag(spec: Json, name: str) -> bool:
    require(isinstance(spec[name], bool), f"{name} has to be true or false.")
    return bool(spec[name])


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ContainerError("The command has to be a list of texts.")
    return tuple(values)


def _pairs(values: object) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ContainerError("Environment and labels have to be texts by name.")
    return values


def _require_size(what: str, most: int, *texts: str) -> None:
    require(not any("\0" in text for text in texts), f"A NUL byte is in {what}.")
    size = sum(len(text.encode(errors="surrogateescape")) + 1 for text in texts)
    require(size <= most, f"There are {size} bytes of {what}; {most} are allowed.")


def _require_readable(fd: int) -> None:
    """Of what is shown, the owner is shown as the app's: so it has to be a file that the caller may read.

    A descriptor opened with O_PATH asks for no right at all.
    """
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    readable = not flags & os.O_PATH and flags & os.O_ACCMODE != os.O_WRONLY
    require(readable and stat.S_ISREG(os.fstat(fd).st_mode), "A descriptor is of nothing that may be shown.")


def _chain(installation: Installation, id: str, slot: int) -> tuple[str, ...]:
    """The containers on whose files a new one stands, nearest first."""
    if not id:
        return ()
    record = records.load(installation, id) if ID.fullmatch(id) else None
    if record is None or not record.outputs or records.load_exit(installation, id) is None:
        raise ContainerError(f"{id!r} cannot be continued: it is gone, still runs, or was started without outputs.")
    if record.slot != slot:
        raise ContainerError(f"{id!r} cannot be continued by a container of another app.")
    chain = (id, *record.continues)
    require(len(chain) < rootfs.LAYERS, f"{id!r} cannot be continued: it stands on too many others.")
    return chain


def _hold(installation: Installation, ids: tuple[str, ...]) -> list[int]:
    """Shared locks on their files, which keep `remove` away as long as the descriptors are open."""
    held = []
    for id in ids:
        held.append(os.open(installation.scratch / id, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        fcntl.flock(held[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
    return held


def _stack(agent: Holder, name: str) -> tuple[Image, list[int]]:
    require(_STACK.fullmatch(name) is not None, f"{name!r} is no name of a stack.")
    path = agent.installation.state / "stacks" / name / "current"
    try:
        image = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ContainerError(
            f"The stack {name} is not installed on this platform. Its operator can add it: pogo stack:build {name}"
        ) from None
    try:
        there = os.fstat(image)
        mine = stat.S_ISREG(there.st_mode) and there.st_uid in (0, os.geteuid())
        require(mine, f"The image of {name} is no file of root's.")
        return _image(agent, image, 0)
    finally:
        os.close(image)


def _image(agent: Holder, file: int, owner: int) -> tuple[Image, list[int]]:
    """The image in an open file, and descriptors that have to stay open as long as the container has it.

    owner: to whom what is unpacked of it belongs.
    """
    if agent.mounted:
        path, device = _loop(agent, file)
        return Image(path), [device]
    source = os.dup(file)
    image = images.to_unpack(agent.installation, source, owner)
    return image, [source, image.guard]


def _loop(agent: Holder, image: int) -> tuple[str, int]:
    """A loop device over the image: (path, descriptor, which has to stay open until it is mounted).

    The same image has the same device, hence the same superblock and page cache. The agent is alone and
    single-threaded, so nothing else makes devices for this installation.
    """
    there = os.fstat(image)
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
