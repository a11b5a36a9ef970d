"""The file system of a container: overlay of small files, slug, what it continues, and stack.

Nothing is copied or chowned: slug and stack are images whose owners are mapped at mount time, so all
containers of a host share their pages (on old kernels: directories, see `images`). Mounts live in the
monitor's own mount namespace and go with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pogo.agent import images, syscalls
from pogo.agent.images import Image
from pogo.agent.installation import UIDS_PER_APP, Installation
from pogo.agent.syscalls import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY

APP_UID = 1000
MOUNT_POINT = "run/root"
LAYERS = 12
BUNDLE = "etc/ssl/certs/ca-certificates.crt"

_SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
_READ_ONLY = _SAFE | MOUNT_ATTR_RDONLY

_LAUNCH = rb"""# Becomes the process. /pogo/start: argument count, arguments, environment, each ended by a NUL.
open(my $in, '<', '/pogo/start') or die "cannot read /pogo/start: $!\n";
my @words = do { local $/; split(/\0/, <$in>, -1) };
close($in);
pop(@words);
my @command = splice(@words, 0, shift(@words));
%ENV = ();
for (@words) { my ($name, $value) = split(/=/, $_, 2); $ENV{$name} = $value; }
umask(022);
open(my $monitor, '+<&=', $ARGV[0]);
syswrite($monitor, '1');
sysread($monitor, my $go, 2) or exit(1);
close($monitor);
exec { $command[0] } @command;
my $status = $! == 2 ? 127 : 126;
print STDERR "$command[0]: $!\n";
exit($status);
"""


@dataclass(frozen=True)
class Layout:
    """What is to be seen in a container.

    continues: ids of ended containers, nearest first. inputs: descriptors of files.
    """

    id: str
    base: int
    stack: Image
    slug: Image | None
    continues: tuple[str, ...]
    inputs: Mapping[str, int]
    outputs: bool
    builder: bool
    command: tuple[str, ...]
    env: Mapping[str, str]
    address: str
    resolvers: tuple[str, ...]
    memory: int
    quota: int
    pids: int


def mount_points(state: Path) -> list[Path]:
    """The directories on which every monitor mounts, each in its own namespace."""
    return [state / name for name in (MOUNT_POINT, "run/l", *(f"run/l/{number}" for number in range(LAYERS)))]


def make_scratch(installation: Installation, id: str, base: int) -> None:
    """The writable layer of a container, empty."""
    directory = installation.scratch / id
    directory.mkdir(mode=0o711)
    for name in ("upper", "work"):
        (directory / name).mkdir()
        os.chown(directory / name, base, base)


def assemble(installation: Installation, layout: Layout) -> None:
    """Leaves the caller in a mount namespace of its own with the root file system at MOUNT_POINT.

    Paths are relative to the state directory, the working directory from here on: that keeps them short
    and, in the container's /proc/mounts, neutral.
    """
    everyone = f"0 {layout.base} {UIDS_PER_APP}"
    userns = syscalls.user_namespace(everyone, everyone)
    app = f"{layout.slug.owner if layout.slug else 0} {layout.base + APP_UID} 1"
    slug_userns = syscalls.user_namespace(app, app) if layout.slug else None
    shown = _shown(installation, layout)
    os.chdir(installation.state)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_SLAVE)

    stack = images.mount(installation, layout.stack, userns)
    trusted = _trusted(installation, stack) if layout.builder and installation.mirror_answers else {}
    mounts = [_small_files(layout, tuple(shown), trusted)]
    if layout.slug and slug_userns is not None:
        mounts.append(images.mount(installation, layout.slug, slug_userns))
    mounts.append(stack)
    for number, fd in enumerate(mounts):
        syscalls.move_mount(fd, f"run/l/{number}")
        os.close(fd)
    lowers = [f"run/l/{number}" for number in range(len(mounts))]
    lowers[1:1] = [f"scratch/{id}/upper" for id in layout.continues]
    upper, work = (f"scratch/{layout.id}/{name}" for name in ("upper", "work"))
    data = f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work},redirect_dir=on,volatile"
    syscalls.mount("overlay", MOUNT_POINT, "overlay", syscalls.MS_NOSUID | syscalls.MS_NODEV, data)
    for path, fd in shown.items():
        syscalls.move_mount(fd, f"{MOUNT_POINT}/{path}")
        os.close(fd)
    os.close(userns)
    if slug_userns is not None:
        os.close(slug_userns)


def _shown(installation: Installation, layout: Layout) -> dict[str, int]:
    """Detached read-only mounts by path in the container, readable for the app's user whoever owns them here."""
    sources = {f"pogo/in/{name}": fd for name, fd in layout.inputs.items()}
    if layout.builder:
        builder = {"pogo/lib/pogo": installation.package, "pogo/buildpacks": installation.buildpacks}
        sources |= {path: os.open(source, os.O_PATH | os.O_CLOEXEC) for path, source in builder.items()}
    return {path: _clone(fd, layout.base + APP_UID) for path, fd in sources.items()}


def _clone(fd: int, owner: int) -> int:
    """A clone of what the descriptor shows, with its owner seen as `owner`."""
    there = os.fstat(fd)
    try:
        mount = syscalls.open_tree(fd)
    except OSError:
        # Opened in another mount namespace: the same file has to be found in this one.
        path = os.readlink(f"/proc/self/fd/{fd}")
        here = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not os.path.samestat(os.fstat(here), there):
            raise
        mount = syscalls.open_tree(here)
        os.close(here)
    userns = syscalls.user_namespace(f"{there.st_uid} {owner} 1", f"{there.st_gid} {owner} 1")
    try:
        syscalls.mount_setattr(mount, _READ_ONLY, userns)
    except OSError:
        syscalls.mount_setattr(mount, _READ_ONLY)  # a file system without mapped owners: its modes have to do
    finally:
        os.close(userns)
    return mount


def _trusted(installation: Installation, stack: int) -> dict[str, bytes]:
    """Files by which a build trusts the mirror's authority: the stack's bundle with it, and OpenSSL's link to it.

    `stack` is a detached mount. Nobody but builds sees them.
    """
    authority = (installation.authority / "ca.pem").read_bytes()
    with open(os.open(BUNDLE, os.O_RDONLY | os.O_CLOEXEC, dir_fd=stack), "rb") as file:
        bundle = file.read()
    names = [path.name for path in installation.authority.glob("*.0")]
    return {BUNDLE: bundle + b"\n" + authority, **{f"{Path(BUNDLE).parent}/{name}": authority for name in names}}


def _small_files(layout: Layout, shown: tuple[str, ...], more: Mapping[str, bytes]) -> int:
    """The topmost read-only layer: what differs from container to container. more: content by path."""
    base, app = layout.base, layout.base + APP_UID
    fd = syscalls.new_mount(
        "tmpfs", {"mode": "0755", "uid": str(base), "gid": str(base), "size": "32m"}, _SAFE | MOUNT_ATTR_NOEXEC
    )
    made = {""}

    def directory(path: str, owner: int = base, mode: int = 0o755) -> None:
        if path not in made:
            above(path)
            os.mkdir(path, dir_fd=fd)
            made.add(path)
        os.chmod(path, mode, dir_fd=fd)
        os.chown(path, owner, owner, dir_fd=fd)

    def above(path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent not in made:
            directory(parent)

    def file(path: str, content: bytes, owner: int = base, mode: int = 0o644) -> None:
        above(path)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode, dir_fd=fd), "wb") as opened:
            opened.write(content)
            os.fchmod(opened.fileno(), mode)
            os.fchown(opened.fileno(), owner, owner)

    directory("app", app)
    directory("tmp", base, 0o1777)
    if layout.outputs:
        directory("pogo/out", app)
    words = [str(len(layout.command)), *layout.command, *(f"{name}={value}" for name, value in layout.env.items())]
    start = b"".join(word.encode(errors="surrogateescape") + b"\0" for word in words)
    file("pogo/start", start, app, 0o400)
    file("pogo/launch", _LAUNCH)
    servers = "".join(f"nameserver {address}\n" for address in layout.resolvers)
    file("etc/resolv.conf", servers.encode())
    file("etc/hostname", f"{layout.id}\n".encode())
    file("etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{layout.address} {layout.id}\n".encode())
    file("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{layout.quota}\n".encode())
    # LXC's init lowers this one when the process has ended, and complains in the app's output if it cannot.
    file("sys/fs/cgroup/pids/pids.max", f"{layout.pids}\n".encode(), app)
    for path, content in more.items():
        file(path, content)
    for path in shown:
        if path.startswith("pogo/in/"):
            file(path, b"")
        else:
            directory(path)
    return fd
