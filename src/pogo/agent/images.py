"""Stacks and slugs as a container's layers: mounted as they are, or unpacked where the kernel cannot map their owners.

Linux maps the owners of a squashfs since 6.2. On an older kernel an image is unpacked once into a directory,
whose owners it does map, and which all containers share as they share the image: see docs/decisions/0014.

    unpacked/<key>        the files, once all of them are there
    unpacked/.<key>       its lock, held by every monitor that shows it; its time tells when it was last wanted
    unpacked/.new-<key>   what a killed monitor has left; the next one begins anew
    unpacked/.gone-<key>  on its way to be removed

Monitors unpack, under the lock, so that the agent never waits.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pogo.agent import syscalls
from pogo.agent.installation import UIDS_PER_APP, BadConfiguration, Installation
from pogo.agent.syscalls import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY
from pogo.errors import CommandFailed, ContainerError

KEPT_SECONDS = 3600.0  # how long what nobody shows is kept
TEND_SECONDS = 600.0
_READ_ONLY = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY
_UNPACK_SECONDS = 600


@dataclass(frozen=True)
class Image:
    """device: path of the loop device that holds it, where images are mounted; else empty.

    source: the open file, to be unpacked; key: the name of its directory; owner: the uid to whom all of it belongs
    there, 0 for a stack's many; guard: the open lock, which has to stay open as long as it is shown.
    """

    device: str
    source: int = -1
    key: str = ""
    owner: int = 0
    guard: int = -1


def to_unpack(installation: Installation, source: int, owner: int) -> Image:
    """The image in an open file. Waits for nobody: that is for `mount`."""
    there = os.fstat(source)
    key = f"{there.st_dev:x}-{there.st_ino:x}-{there.st_size:x}-{there.st_mtime_ns:x}"  # a changed file is another one
    guard = _open(installation.unpacked / f".{key}")
    os.utime(guard)
    return Image("", source, key, owner, guard)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def unpacker(installation: Installation) -> int:
    """Who unpacks slugs and owns them then: a uid of the first app's range that no process has in there.

    Slugs come from apps: root reads none of them with a program of the outside.
    """
    return installation.base(0) + UIDS_PER_APP - 1


def choose(installation: Installation) -> bool:
    """Whether images are mounted; else they are unpacked. Called once, by the agent, which also writes it down.

    Raises BadConfiguration where the settings want what the kernel cannot do.
    """
    wanted = installation.images
    why = "" if wanted == "unpacked" else _why_not_mounted()
    if why and wanted == "mounted":
        raise BadConfiguration(f"POGO_IMAGES=mounted cannot be: {why}")
    mounted = wanted != "unpacked" and not why
    chosen, text = installation.run / "images", "mounted\n" if mounted else "unpacked\n"
    if not chosen.is_file() or chosen.read_text() != text:  # a full disk has no room to write it again
        chosen.unlink(missing_ok=True)
        with open(os.open(chosen, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
            file.write(text)
    return mounted


def _why_not_mounted() -> str:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:  # in memory: the disk may be full
        trial = Path(place, "image")
        args = ["mksquashfs", place, str(trial), "-quiet", "-no-progress", "-noappend", "-all-root"]
        done = subprocess.run(args, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandFailed(args, done.returncode, done.stderr)
        try:
            require_mapped(trial)
        except OSError as error:
            return str(error)
    return ""


def require_mapped(image: Path) -> None:
    """Raises OSError where this kernel cannot mount a squashfs with other owners than it has."""
    fd = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    device, path = syscalls.loop_configure(fd)
    mount = -1
    try:
        mount = syscalls.new_mount("squashfs", {"source": path, "ro": ""}, _READ_ONLY)
        userns = syscalls.user_namespace("0 65536 65536", "0 65536 65536")
        try:
            syscalls.mount_setattr(mount, _READ_ONLY, userns)
        finally:
            os.close(userns)
    finally:
        for one in (fd, device, *([mount] if mount >= 0 else [])):
            os.close(one)


def mount(installation: Installation, image: Image, userns: int) -> int:
    """A detached, read-only mount with owners mapped; what is unpacked is held from then on, by the image's guard."""
    if image.device:
        fd = syscalls.new_mount("squashfs", {"source": image.device, "ro": ""}, _READ_ONLY)
    else:
        _hold(installation.unpacked, image)
        fd = syscalls.open_tree(os.open(installation.unpacked / image.key, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    syscalls.mount_setattr(fd, _READ_ONLY, userns)
    return fd


def _hold(home: Path, image: Image) -> None:
    """Makes sure that the image is unpacked, and locks its guard: whoever has inherited that holds it, too.

    Waits for another monitor that is unpacking it.
    """
    place = home / image.key
    fcntl.flock(image.guard, fcntl.LOCK_SH)
    if not place.exists():
        fcntl.flock(image.guard, fcntl.LOCK_EX)
        if not place.exists():
            _unpack(home, image)
        fcntl.flock(image.guard, fcntl.LOCK_SH)
    guard = home / f".{image.key}"
    if not (guard.exists() and os.path.samestat(guard.stat(), os.fstat(image.guard))):
        raise OSError(errno.EAGAIN, "the unpacked image was cleared away this very moment; try again")


def _unpack(home: Path, image: Image) -> None:
    new = home / f".new-{image.key}"
    if new.exists():
        gone = home / f".gone-{image.key}-{os.getpid()}"  # the unpacker of a killed monitor may still end
        new.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    new.mkdir(mode=0o755)
    os.chown(new, image.owner, image.owner)
    args = ["unsquashfs", "-quiet", "-no-progress", "-force", "-processors", "2", "-dest", ".", "/proc/self/fd/0"]
    who = image.owner
    try:
        with tempfile.TemporaryFile(dir=home) as copy:
            done = subprocess.run(
                args,
                cwd=new,  # entered by root: its owner does not get there, nor does anyone else
                stdin=_lend(image, copy.fileno()) if who else image.source,
                capture_output=True,
                text=True,
                check=False,
                timeout=_UNPACK_SECONDS,
                umask=0o022,
                user=who,
                group=who,
                extra_groups=[],
                preexec_fn=syscalls.die_with_parent,  # which is single-threaded
            )
        if done.returncode:
            said = (done.stderr or done.stdout)[-500:].strip()
            raise ContainerError(f"its files cannot be unpacked: {said}")
        new.rename(home / image.key)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _lend(image: Image, copy: int) -> int:
    """A copy of the image for its unpacker, who may not open pogod's files; it has no name and goes with `copy`."""
    os.fchown(copy, image.owner, image.owner)
    done, size = 0, os.fstat(image.source).st_size
    while done < size and (count := os.sendfile(copy, image.source, done, 1 << 30)):
        done += count
    return copy


def tend(installation: Installation) -> None:
    """Unpacks the stacks before anyone waits for them, and clears away what is not wanted any more."""
    wanted = set()
    for link in (installation.state / "stacks").glob("*/current"):
        source = os.open(link, os.O_RDONLY | os.O_CLOEXEC)
        image = to_unpack(installation, source, 0)
        wanted.add(image.key)
        _hold(installation.unpacked, image)
    clear(installation, wanted)


def clear(installation: Installation, spared: Collection[str] = (), keep: float = KEPT_SECONDS) -> None:
    """Removes what nobody shows and nobody wanted for `keep` seconds, and what killed monitors have left.

    spared: keys.
    """
    home = installation.unpacked
    for path in home.iterdir():
        name = path.name.removeprefix(".new-").removeprefix(".gone-").removeprefix(".")
        if name in spared:
            continue
        if path.name.startswith(".gone-"):
            shutil.rmtree(path, ignore_errors=True)
            continue
        guard = _open(home / f".{name}")
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.name.startswith(".new-"):
                shutil.rmtree(path, ignore_errors=True)
            elif time.time() - os.fstat(guard).st_mtime >= keep:
                gone = home / f".gone-{name}"
                if (home / name).exists():
                    (home / name).rename(gone)
                (home / f".{name}").unlink(missing_ok=True)  # at once: a monitor may have opened it already
                shutil.rmtree(gone, ignore_errors=True)
        except BlockingIOError:
            continue  # it is shown, or being unpacked
        finally:
            os.close(guard)
