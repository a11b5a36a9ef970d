"""Linux calls that Python 3.11 does not offer: namespaces, the mount API, idmapped mounts, loop devices.

Everything ctypes lives here. Failures raise `OSError` with the call's name and, where the kernel
explains itself (fsopen), its explanation.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000
_CLONE_VM, _STACK = 0x100, 16 << 10

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REC, MS_SLAVE = 1, 2, 4, 1 << 14, 1 << 19
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_IDMAP = 1, 2, 4, 8, 1 << 20

_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE, _FSCONFIG_CMD_RECONFIGURE = 0, 1, 6, 7
_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 1, 2
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _FSPICK, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 433, 442

_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE, _LOOP_GET_STATUS64 = 0x4C82, 0x4C0A, 0x4C05
_LO_FLAGS_READ_ONLY, _LO_FLAGS_AUTOCLEAR = 1, 4
_LOOP_INFO64 = struct.Struct("=QQQQQIIII64s64s32s16s")
_LOOP_MAJOR = 7

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ZERO = ctypes.c_ulong(0)

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_CLASS_IDLE = 3

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_with_interpreter = ctypes.PyDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(what: str, number: int, *args: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *args), what)


def fork() -> int:
    """As os.fork, for a process of one thread: without what Python then does in the child for locks that other threads
    may hold, which copies 0.7 MB of the memory that both share."""
    return _check(_with_interpreter.fork(), "fork")


def set_signals(numbers: Iterable[int], ignored: bool) -> None:
    """To be ignored, or the kernel's default. Python's way copies 0.2 MB of the memory that a child shares."""
    for number in numbers:
        _libc.signal(ctypes.c_int(number), ctypes.c_void_p(ignored))


def close_all_but(keep: set[int]) -> None:
    """Spares the standard streams too."""
    for before, after in pairwise([2, *sorted(keep), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(before + 1, after)


def idle_io() -> None:
    """Reads and writes of this process and its children wait for those of all others, where the disk's scheduler
    knows classes. A machine whose call number is not known goes without."""
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        _syscall("ioprio_set", number, ctypes.c_int(1), ctypes.c_int(0), ctypes.c_int(_IOPRIO_CLASS_IDLE << 13))


def adopt_orphans(on: bool) -> None:
    """Whether processes whose parent ends, somewhere below this one, become its children instead of init's."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(on), _ZERO, _ZERO, _ZERO), "prctl")


def die_with_parent() -> None:
    """This process is killed when its parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), _ZERO, _ZERO, _ZERO), "prctl")


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, flags: int) -> None:
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)), "setns")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """The classic mount(2); `data` is the comma-separated options."""
    args = [text.encode() if text else None for text in (source, target, kind)]
    result = _libc.mount(*args, ctypes.c_ulong(flags), data.encode() or None)
    _check(result, f"mount {kind} on {target}")


def unmount(target: str) -> None:
    _check(_libc.umount2(target.encode(), ctypes.c_int(_MNT_DETACH)), f"unmount {target}")


def new_mount(kind: str, options: Mapping[str, str], attributes: int) -> int:
    """A detached mount of a new (or, for the same block device, the same) filesystem; its descriptor.

    An option with an empty value is a flag. The descriptor can be used as a directory.
    """
    fs = _syscall("fsopen", _FSOPEN, kind.encode(), ctypes.c_uint(_FSOPEN_CLOEXEC))
    try:
        for key, value in options.items():
            command, text = (_FSCONFIG_SET_STRING, value.encode()) if value else (_FSCONFIG_SET_FLAG, None)
            _syscall(f"fsconfig {kind} {key}", _FSCONFIG, fs, ctypes.c_uint(command), key.encode(), text, 0)
        _syscall(f"mount {kind}", _FSCONFIG, fs, ctypes.c_uint(_FSCONFIG_CMD_CREATE), None, None, 0)
        return _syscall("fsmount", _FSMOUNT, fs, ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(attributes))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} {_explanation(fs)}".rstrip()) from error
    finally:
        os.close(fs)


def reconfigure(path: str, flags: Iterable[str]) -> None:
    """Gives a filesystem that is mounted at `path` these options, all without a value; what is left out is off then."""
    fs = _syscall("fspick", _FSPICK, ctypes.c_int(_AT_FDCWD), path.encode(), ctypes.c_uint(_FSOPEN_CLOEXEC))
    try:
        for flag in flags:
            _syscall(f"fsconfig {flag}", _FSCONFIG, fs, ctypes.c_uint(_FSCONFIG_SET_FLAG), flag.encode(), None, 0)
        _syscall(f"change {path}", _FSCONFIG, fs, ctypes.c_uint(_FSCONFIG_CMD_RECONFIGURE), None, None, 0)
    finally:
        os.close(fs)


def _explanation(fs: int) -> str:
    try:
        return os.read(fs, 1024).decode(errors="replace").strip()
    except OSError:
        return ""


def open_tree(fd: int, path: str = "") -> int:
    """A detached clone of the mount at `path` below the directory `fd` (or of `fd` itself)."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_EMPTY_PATH
    return _syscall("open_tree", _OPEN_TREE, ctypes.c_int(fd), path.encode(), ctypes.c_uint(flags))


def move_mount(fd: int, target: str) -> None:
    """Attaches a detached mount at `target`."""
    _syscall(
        f"move_mount to {target}",
        _MOVE_MOUNT,
        ctypes.c_int(fd),
        b"",
        ctypes.c_int(_AT_FDCWD),
        target.encode(),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )


def mount_setattr(fd: int, attributes: int, userns: int | None = None) -> None:
    """Sets MOUNT_ATTR_* on a detached mount; with `userns`, its owners are mapped by that namespace."""
    if userns is not None:
        attributes |= MOUNT_ATTR_IDMAP
    block = struct.pack("=QQQQ", attributes, 0, 0, userns if userns is not None else 0)
    _syscall("mount_setattr", _MOUNT_SETATTR, ctypes.c_int(fd), b"", ctypes.c_uint(_AT_EMPTY_PATH), block, len(block))


def user_namespace(uids: str, gids: str) -> int:
    """A descriptor of a new user namespace with these maps (lines of `inside outside count`).

    It is born with a child that shares this process's memory, since copying it takes milliseconds: the child does
    nothing but wait, in libc's sleep(), for its end. Not for ever: it holds our locks, and we may be killed first.
    """
    stack = ctypes.create_string_buffer(_STACK)
    top = ctypes.c_void_p((ctypes.addressof(stack) + _STACK) & ~0xF)
    flags, seconds = ctypes.c_int(CLONE_NEWUSER | _CLONE_VM | signal.SIGCHLD), ctypes.c_void_p(5)
    pid = _check(_libc.clone(_libc.sleep, top, flags, seconds), "clone: is user.max_user_namespaces 0?")
    try:
        for name, text in (("uid_map", uids), ("gid_map", gids)):
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write(text)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def punch_hole(fd: int, start: int, end: int) -> None:
    """Frees the disk space of the bytes from `start` to `end`; the file keeps its size."""
    mode = ctypes.c_int(_FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE)
    _check(_libc.fallocate(ctypes.c_int(fd), mode, ctypes.c_int64(start), ctypes.c_int64(end - start)), "fallocate")


def loop_backing(device: int) -> tuple[int, int] | None:
    """(st_dev, st_ino) of the file behind a loop device, or None where it is free."""
    buffer = bytearray(_LOOP_INFO64.size)
    try:
        fcntl.ioctl(device, _LOOP_GET_STATUS64, buffer)
    except OSError:
        return None
    fields = _LOOP_INFO64.unpack(buffer)
    return fields[0], fields[1]


def loop_devices() -> dict[tuple[int, int], str]:
    """The paths of all loop devices in use, by (st_dev, st_ino) of what is behind them."""
    found = {}
    for directory in Path("/sys/block").glob("loop*/loop"):
        path = f"/dev/{directory.parent.name}"
        try:
            device = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # cleared meanwhile
        backing = loop_backing(device)
        os.close(device)
        if backing is not None:
            found[backing] = path
    return found


def loop_configure(image: int) -> tuple[int, str]:
    """A free loop device set up read-only over `image`: (descriptor, path). It clears itself when unused."""
    with open("/dev/loop-control", "rb") as control:
        for _ in range(50):
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
            path = f"/dev/loop{number}"
            if not os.path.exists(path):
                os.mknod(path, 0o600 | 0o060000, os.makedev(_LOOP_MAJOR, number))
            device = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            flags = _LO_FLAGS_READ_ONLY | _LO_FLAGS_AUTOCLEAR
            info = _LOOP_INFO64.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, b"", b"", b"", b"")
            config = struct.pack("=II", image, 0) + info + bytes(64)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != 16:
                    raise
                continue
            return device, path
    raise OSError(16, "cannot find a free loop device")
