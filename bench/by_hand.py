"""The same app built by the steps of herokuish, by hand: untar, compile, tar.gz, untar. No isolation, no limits."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

STACK = "heroku-24"
# Runs below the root of the stack image, as user 1000, with the network of the machine.
STEPS = """set -e
root=$1
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cat /etc/resolv.conf > "$root/etc/resolv.conf"
cat /etc/hosts > "$root/etc/hosts"
chroot --userspec=1000:1000 "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/app LANG=en_US.UTF-8 $2 \
    bash -euc 'mkdir /tmp/build; tar -xf /tmp/source.tar -C /tmp/build
    cd /tmp/pack; bin/detect /tmp/build >/dev/null; bin/compile /tmp/build /tmp/cache /tmp/env >/tmp/log 2>&1
    tar -C /tmp/build -czf /tmp/slug.tgz .
    mkdir /tmp/live; tar -C /tmp/live -xzf /tmp/slug.tgz'
"""


@contextmanager
def root(image: Path, directory: Path) -> Iterator[Path]:
    """The stack image below a writable layer, mounted as a person would."""
    for name in ("stack", "upper", "work", "root"):
        (directory / name).mkdir()
    layers = f"lowerdir={directory}/stack,upperdir={directory}/upper,workdir={directory}/work"
    subprocess.run(["mount", "-o", "loop,ro", image, directory / "stack"], check=True)
    try:
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", directory / "root"], check=True)
        try:
            yield directory / "root"
        finally:
            subprocess.run(["umount", directory / "root"], check=True)
    finally:
        subprocess.run(["umount", directory / "stack"], check=True)


def prepare(root: Path, pack: Path) -> None:
    """What herokuish has before the first build: a pack and an empty cache."""
    tmp = root / "tmp"
    shutil.copytree(pack, tmp / "pack")
    for name in ("cache", "env"):
        (tmp / name).mkdir()
    subprocess.run(["chown", "-R", "1000:1000", tmp / "pack", tmp / "cache", tmp / "env"], check=True)


def build(root: Path, source: Path, env: Mapping[str, str]) -> float:
    """Seconds from the source to the tree that could run. The cache of the last build is used."""
    tmp = root / "tmp"
    for name in ("build", "live"):
        shutil.rmtree(tmp / name, ignore_errors=True)
    for left in (root / "app").iterdir():
        shutil.rmtree(left)
    subprocess.run(["tar", "-C", source, "--exclude=.git", "-cf", tmp / "source.tar", "."], check=True)
    given = " ".join(f"{name}={value}" for name, value in {"STACK": STACK, **env}.items())
    began = time.perf_counter()
    command = ["unshare", "--mount", "--pid", "--fork", "bash", "-c", STEPS, "steps", str(root), given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + (tmp / "log").read_text()
    return time.perf_counter() - began
