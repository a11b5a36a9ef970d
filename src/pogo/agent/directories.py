"""The agent's directories. pogod writes in two of them too, so what is changed is what was opened, never a link."""

from __future__ import annotations

import os
from pathlib import Path

from pogo.agent import cgroups, lxc, rootfs
from pogo.agent.installation import BadConfiguration, Installation

# Linux counts the watchers of files in every container as root's, too, of whom it allows 128: a single dyno could take
# them all. Each is paid from its container's memory, which is the limit that is meant. The rest has room for
# thousands of containers.
_ROOM = {
    "fs/inotify/max_user_instances": 1 << 20,
    "fs/inotify/max_user_watches": 1 << 26,
    "kernel/pid_max": 1 << 22,
    "net/ipv4/neigh/default/gc_thresh3": 1 << 16,
    "net/ipv4/neigh/default/gc_thresh2": 1 << 15,
}


def make_room() -> None:
    """Raises limits of this machine that all containers share; none is lowered. Lets processes change groups faster."""
    for name, wanted in _ROOM.items():
        file = Path("/proc/sys", name)
        if file.exists() and int(file.read_text()) < wanted:
            file.write_text(str(wanted))
    cgroups.moves_are_favoured(change=True)


def prepare(ours: Installation) -> None:
    """Root's, with the sticky bit where the installation's user makes files too: it cannot swap ours."""
    ours.state.parent.mkdir(parents=True, exist_ok=True)
    modes = {ours.state: 0o1775, ours.run: 0o1775, ours.records: 0o711, ours.scratch: 0o700, ours.unpacked: 0o700}
    for path, mode in modes.items():
        _own(path, mode, ours.gid)
    for path in rootfs.mount_points(ours.state):
        _own(path, 0o711, 0)
    profile = ours.run / "seccomp"
    profile.unlink(missing_ok=True)
    with open(os.open(profile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
        file.write(lxc.seccomp_profile())


def _own(path: Path, mode: int, group: int) -> None:
    path.mkdir(exist_ok=True)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise BadConfiguration(f"{path} has to be a directory, not a symbolic link.") from None
    os.fchown(fd, 0, group)
    os.fchmod(fd, mode)
    os.close(fd)
