"""Stack images: the root file system that every build and dyno stands on.

A stack is a named Debian release with a fixed list of packages, made by mmdebstrap from the
machine's own mirror and kept as one squashfs image. An image is never changed: a changed recipe,
or the same recipe on another day, is another image. A build may be killed at any point; what it
leaves is removed by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pogo.errors import CommandFailed, NotFound
from pogo.stack.aptsources import find_mirror, read_sources

RECIPES = Path(__file__).parent / "recipes"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
OPERATOR_CAS = Path("/usr/local/share/ca-certificates")
CACHE_DIR = Path("/var/cache/pogo")
KEPT_IMAGES = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """name: as users see it. release: Debian's code name."""

    name: str
    release: str


STACKS = {stack.name: stack for stack in (Stack("pogo-13", "trixie"), Stack("pogo-12", "bookworm"))}

_PHASES = (
    ("running apt-get update", "reading package lists"),
    ("downloading packages", "downloading packages"),
    ("extracting archives", "unpacking the base system"),
    ("installing essential packages", "installing the base system"),
    ("installing remaining packages", "downloading and unpacking packages"),
    ("running --customize-hook", "setting up"),
    ("cleaning package lists", "cleaning up"),
)
_APT_OPTIONS_KEPT = re.compile(r"^Acquire::(?:https?::Proxy\S*|Check-Valid-Until|Check-Date|Retries) ")


def find(name: str) -> Stack:
    """The stack called `name`. Raises NotFound, naming those that exist."""
    if name not in STACKS:
        raise NotFound("stack", f"There is no stack {name!r}. Stacks: {', '.join(STACKS)}.")
    return STACKS[name]


def packages(release: str) -> list[str]:
    """Names of the packages that the recipe lists for a Debian release."""
    found = []
    for line in (RECIPES / "packages.txt").read_text().splitlines():
        name, _, limit = line.partition("#")[0].partition("@")
        if name.strip() and limit.strip() in ("", release):
            found.append(name.strip())
    return found


def recipe_hash(stack: Stack) -> str:
    """Eight hex digits of everything that decides what is in the image, apart from the day."""
    digest = hashlib.sha256(f"{stack}{platform.machine()}{packages(stack.release)}".encode())
    digest.update((RECIPES / "setup.sh").read_bytes())
    for path in sorted(OPERATOR_CAS.rglob("*.crt")):
        if not path.name.startswith("pogoapp-"):  # an installation's own, which setup.sh leaves out
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def current(name: str, state_dir: Path) -> Path | None:
    """The installed image of a stack, or None. It is the path of a squashfs file, never of a symlink."""
    link = state_dir / "stacks" / name / "current"
    return link.resolve() if link.exists() else None


def missing(state_dir: Path) -> list[str]:
    """Names of the stacks that have no image made by today's recipe. Reads only a few small files."""
    return [name for name, stack in STACKS.items() if not _is_of(current(name, state_dir), stack)]


def _is_of(image: Path | None, stack: Stack) -> bool:
    return image is not None and image.name.startswith(f"{stack.name}-{recipe_hash(stack)}-")


def build(name: str, cache_dir: Path, state_dir: Path, progress: Progress, *, fresh: bool = False) -> Path:
    """Make sure that a stack's image is installed in `state_dir`, building it where the cache has none.

    fresh: build even then, to take in Debian's updates. Returns the installed image. Raises
    NotFound (no such stack), NoMirror, CommandFailed.
    """
    stack = find(name)
    store = cache_dir / "stacks"
    store.mkdir(parents=True, exist_ok=True)
    with _lock(store / f".{name}.lock", lambda: progress(f"{name}: waiting for another build of this stack")):
        _remove_leftovers(store, name)
        cached = [] if fresh else _images(store, stack)
        image = cached[-1] if cached else _bootstrap(stack, store, progress)
        _prune(store, name, image)
        return _install(stack, image, state_dir, progress)


def _images(directory: Path, stack: Stack) -> list[Path]:
    """Images of today's recipe, oldest first."""
    return sorted(directory.glob(f"{stack.name}-{recipe_hash(stack)}-*.squashfs"))


def _prune(directory: Path, name: str, kept: Path) -> None:
    """Remove all but the newest images. A mounted one lives on until it is unmounted."""
    images = sorted(directory.glob(f"{name}-*.squashfs"), key=lambda path: path.stat().st_mtime)
    for old in images[:-KEPT_IMAGES]:
        if old.name != kept.name:
            old.unlink()


def _install(stack: Stack, image: Path, state_dir: Path, progress: Progress) -> Path:
    """Put an image under `state_dir`, independent of the cache, and point `current` at it."""
    home = state_dir / "stacks" / stack.name
    home.mkdir(parents=True, exist_ok=True)
    installed = home / image.name
    if not installed.exists():
        partial = home / f".{image.name}"
        partial.unlink(missing_ok=True)
        try:
            os.link(image, partial)
        except OSError:  # another file system
            shutil.copyfile(image, partial)
        _sync(partial)
        partial.rename(installed)
    link = home / ".current"
    link.unlink(missing_ok=True)
    link.symlink_to(installed.name)
    link.rename(home / "current")
    _sync(home)
    _prune(home, stack.name, installed)
    progress(f"{stack.name}: {installed.name}, {installed.stat().st_size / 1e6:.0f} MB")
    return installed


def _bootstrap(stack: Stack, store: Path, progress: Progress) -> Path:
    """Build the image in the cache directory `store`."""
    started = time.monotonic()

    def say(phase: str) -> None:
        progress(f"{stack.name}: {phase} ({time.monotonic() - started:.0f} s)")

    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    mirror = find_mirror(read_sources(), release)
    if not mirror.security:
        say(f"this machine has no security archive in its apt sources, so {stack.name} gets no security updates")
    work = store / f".build-{stack.name}"
    root = work / "root"
    work.mkdir()
    say("starting")
    _watch(_mmdebstrap(stack, mirror.lines(stack.release), root), say)
    (root / "sys/fs/cgroup").mkdir(parents=True, exist_ok=True)
    say("packing")
    version = f"{recipe_hash(stack)}-{time.strftime('%Y%m%d%H%M', time.gmtime())}"
    packed = work / "image"
    options = ["-comp", "zstd", "-Xcompression-level", "3", "-noappend", "-no-progress", "-quiet"]
    _watch(["mksquashfs", str(root), str(packed), *options], say)
    _sync(packed)
    image = store / f"{stack.name}-{version}.squashfs"
    packed.rename(image)
    _sync(store)
    _remove_leftovers(store, stack.name)
    say("packed")
    return image


def _mmdebstrap(stack: Stack, sources: list[str], root: Path) -> list[str]:
    ask = ["apt-config", "dump", "Acquire"]
    dump = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    kept = [line.rstrip(";") for line in dump.splitlines() if _APT_OPTIONS_KEPT.match(line) and '""' not in line]
    options = ['APT::Install-Recommends "false"', 'Acquire::Languages "none"', *kept]
    excluded = [f"path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "info", "locale", "lintian")]
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--keyring={KEYRING}",
        f"--include={','.join(packages(stack.release))}",
        *(f"--aptopt={option}" for option in options),
        *(f"--dpkgopt={option}" for option in (*excluded, "path-include=/usr/share/doc/*/copyright")),
        f'--customize-hook=sh {RECIPES / "setup.sh"} "$1"',
        stack.release,
        str(root),
        *sources,
    ]


def _watch(command: list[str], say: Callable[[str], None]) -> None:
    """Run `command`, reporting its phases and a sign of life every 10 s. Raises CommandFailed.

    It runs in mount and process namespaces of its own and dies with this process, so nothing that
    it mounts or starts can outlive us.
    """
    mortal = ["setpriv", "--pdeathsig", "KILL", "--"]
    isolated = [*mortal, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *command]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    process = subprocess.Popen(
        isolated,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stderr is not None
    phase, errors, pending = "", b"", b""
    try:
        while True:
            if not select.select([process.stderr], [], [], 10)[0]:
                say(f"{phase or 'working'} …")
                continue
            data = os.read(process.stderr.fileno(), 1 << 16)
            if not data:
                break
            errors = (errors + data)[-8000:]
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                known = next((shown for sign, shown in _PHASES if sign in line.decode(errors="replace")), "")
                if known and known != phase:
                    phase = known
                    say(phase)
        status = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stderr.close()
    if status:
        raise CommandFailed(command[:1], status, errors.decode(errors="replace"))


def _remove_leftovers(store: Path, name: str) -> None:
    """Remove the working directory of a build that did not finish. Only under the stack's lock."""
    work = store / f".build-{name}"
    if work.exists():
        shutil.rmtree(work)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
