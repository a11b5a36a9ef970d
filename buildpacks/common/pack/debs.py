"""Debian packages below a directory of the app, by the stack's own apt, as an ordinary user.

apt resolves against the stack's dpkg status and sources, with state and cache directories of its own,
so what the stack has is not fetched. Packages are unpacked, not installed: their maintainer scripts do
not run. What apt chose is unpacked as a whole into a new tree, so versions are never mixed; the tree is
kept as one archive and used again as it is while stack, sources and package list are the same and the
index was looked at within a day, and after that as long as apt still chooses the same versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pack import archive
from pack.steps import BuildFailed, detail, warning

INDEX_SECONDS = 24 * 3600
"""How long a tree is used without asking the mirror for newer versions."""

KEPT_BYTES = 64 << 20
"""Packages are kept beside the tree that was made of them up to this sum, the small ones first."""

STATUS = Path("/var/lib/dpkg/status")
SOURCES = Path("/etc/apt")
_CHOSEN = re.compile(r"^Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+) .*\[(\w+)\]\)", re.M)
_MERGED = ("bin", "lib", "lib32", "lib64", "sbin")
_LEFT_OUT = ("info", "lintian", "locale", "man")


@dataclass(frozen=True)
class Deb:
    """One package that apt chose, as its file in apt's archive is called."""

    name: str
    version: str
    architecture: str

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


@dataclass(frozen=True)
class Kept:
    """What the tree in the cache was made of. checked: when the index was last looked at; 0 without a tree."""

    key: str
    checked: float = 0
    packages: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, cache: Path, key: str) -> Kept:
        """That of a tree made for `key`, or an empty one."""
        try:
            found = cls(**json.loads((cache / "tree.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return cls(key)
        return found if found.key == key else cls(key)

    def save(self, cache: Path) -> None:
        (cache / "tree.json").write_text(json.dumps(asdict(self)))


def install(
    packages: Sequence[str],
    root: Path,
    cache: Path,
    env: Mapping[str, str],
    *,
    updated: bool = False,
    without: Sequence[str] = (),
) -> list[str]:
    """Unpack Debian packages, with what they depend on beyond the stack, into `root`, which is made anew.

    cache: a directory of the caller's below CACHE_DIR. updated: `known` has fetched the index there just now.
    without: paths to leave out, as patterns of tar that begin with `./`. Returns `name version` of each
    package there, sorted. Raises BuildFailed: a package that does not exist, a mirror out of reach, a full disk.
    """
    kept = Kept.load(cache, _key(packages, env, without))
    if 0 <= time.time() - kept.checked < INDEX_SECONDS and _restore(cache, root):
        return kept.packages
    try:
        if not updated:
            _update(cache, env)
    except BuildFailed as failure:
        if not (kept.checked and _restore(cache, root)):
            raise
        warning(f"{failure}\nThe packages of the last build are used as they are.")
        return kept.packages
    chosen = _choose(packages, cache, env)
    names = sorted(f"{deb.name} {deb.version}" for deb in chosen)
    if kept.packages != names or not _restore(cache, root):
        _build(packages, chosen, root, cache, env, without)
    for path in (cache / "apt").glob("*.bin"):  # what apt made of the index: large, and quickly made again
        path.unlink()
    Kept(kept.key, time.time(), names).save(cache)
    return names


def known(cache: Path, env: Mapping[str, str]) -> set[str]:
    """Names of all packages that the stack's index has. cache: as for `install`. Raises BuildFailed."""
    _update(cache, env)
    status, said = _apt(cache, env, "pkgnames")
    if status:
        raise _failure("The package index", said)
    return set(said.split())


def library_path(root: Path) -> str:
    """Directories with shared libraries below `root`, in the form of LD_LIBRARY_PATH."""
    found = [path for path in sorted((root / "usr/lib").glob("*-linux-gnu*")) if path.is_dir()]
    return ":".join(str(path) for path in (*found, root / "usr/lib") if any(path.glob("*.so*")))


def _key(packages: Sequence[str], env: Mapping[str, str], without: Sequence[str]) -> str:
    """Everything but the index that decides what is in the tree."""
    digest = hashlib.sha256(f"1 {env.get('STACK', '')} {sorted(set(packages))} {sorted(without)}".encode())
    lists = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    for path in (STATUS, *lists):
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _restore(cache: Path, root: Path) -> bool:
    _empty(root)
    return archive.load(cache / "tree.tar.zst", root)


def _empty(root: Path) -> None:
    if root.is_symlink() or root.is_file():
        root.unlink()
    elif root.exists():
        shutil.rmtree(root)


def _apt(cache: Path, env: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Exit status and output of apt-get or apt-cache, which keep all they write below `cache`."""
    for name in ("state/lists/partial", "apt/archives/partial"):
        (cache / name).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": cache / "state",
        "Dir::State::status": STATUS,
        "Dir::Etc": SOURCES,
        "Dir::Cache": cache / "apt",
        "Dir::Log::Planner": "",
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "APT::Update::Error-Mode": "any",
        "APT::Get::AutomaticRemove": "false",
        "APT::Get::Assume-Yes": "true",
        "quiet": "1",
        "Acquire::Languages": "none",
        "Acquire::GzipIndexes": "true",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
    }
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    command = ["apt-cache" if arguments[0] == "pkgnames" else "apt-get", *given, *arguments]
    done = subprocess.run(
        command,
        env={**env, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout


def _update(cache: Path, env: Mapping[str, str]) -> None:
    status, said = _apt(cache, env, "update")
    if status:
        raise _failure("The package index of this stack cannot be fetched", said)


def _choose(packages: Sequence[str], cache: Path, env: Mapping[str, str]) -> list[Deb]:
    """What is missing in the stack. Raises BuildFailed, naming packages that do not exist."""
    status, said = _apt(cache, env, "install", "--simulate", "--no-upgrade", *packages)
    if status:
        unknown = re.findall(
            r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate", said
        )
        if unknown:
            names = ", ".join(first or second for first, second in unknown)
            raise BuildFailed(
                f"The package index of this stack has no package {names}.\n"
                "The names of packages differ between stacks: see https://packages.debian.org, correct it, push again."
            )
        raise _failure(f"{', '.join(packages)} cannot be installed on this stack", said)
    return [Deb(*found) for found in _CHOSEN.findall(said)]


def _build(
    packages: Sequence[str],
    chosen: Sequence[Deb],
    root: Path,
    cache: Path,
    env: Mapping[str, str],
    without: Sequence[str],
) -> None:
    """Fetch what apt chose and unpack it; the cache then holds none but these packages, and their tree."""
    (cache / "tree.json").unlink(missing_ok=True)
    archives = cache / "apt/archives"
    missing = sum(not (archives / deb.file).is_file() for deb in chosen)
    if chosen:
        detail(f"{len(chosen)} packages, {missing} to fetch")
        _fetch(packages, cache, env)
    if damaged := [deb for deb in chosen if not _is_sound(archives / deb.file)]:
        for deb in damaged:
            (archives / deb.file).unlink(missing_ok=True)
        _fetch(packages, cache, env)
    unpack([archives / deb.file for deb in chosen], root, without)
    archive.save(root, cache / "tree.tar.zst")
    _prune(archives, {deb.file for deb in chosen})


def _prune(archives: Path, wanted: set[str]) -> None:
    kept = 0
    for path in sorted(archives.glob("*.deb"), key=lambda path: path.stat().st_size):
        kept += path.stat().st_size
        if path.name not in wanted or kept > KEPT_BYTES:
            path.unlink()


def _fetch(packages: Sequence[str], cache: Path, env: Mapping[str, str]) -> None:
    status, said = _apt(cache, env, "install", "--download-only", "--no-upgrade", *packages)
    if status:
        raise _failure("Packages of this stack cannot be fetched", said)


def _is_sound(deb: Path) -> bool:
    command = ["dpkg-deb", "--info", str(deb)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unpack(files: Sequence[Path], root: Path, without: Sequence[str] = ()) -> None:
    """The contents of .deb files in a new tree `root`, without manuals and translations. Raises BuildFailed."""
    _empty(root)
    root.mkdir(parents=True)
    for name in _MERGED:  # older packages still ship /lib and /bin
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    left_out = [f"--exclude={path}" for path in (*(f"./usr/share/{name}/*" for name in _LEFT_OUT), *without)]
    options = ["--no-same-owner", "--keep-directory-symlink", *left_out]
    for file in files:
        contents = ["dpkg-deb", "--fsys-tarfile", str(file)]
        with subprocess.Popen(contents, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
            tar = ["tar", "-C", str(root), *options, "-xf", "-"]
            done = subprocess.run(tar, stdin=reader.stdout, capture_output=True, text=True, check=False)
            assert reader.stdout
            assert reader.stderr
            reader.stdout.close()
            said = f"{reader.stderr.read().decode(errors='replace')}{done.stderr}"
        if reader.returncode or done.returncode:
            raise _failure(f"{file.name} cannot be unpacked", said)
    for name in _MERGED:
        if not any((root / "usr" / name).iterdir()):
            (root / "usr" / name).rmdir()
            (root / name).unlink()
    for copyright_only in (root / "usr/share/doc").glob("*/*"):
        if copyright_only.name != "copyright" and not copyright_only.is_dir():
            copyright_only.unlink()
    relative_links(root)


def relative_links(root: Path) -> None:
    """Absolute links to something in the tree become relative: the tree does not lie at `/`."""
    for where, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(where, name)
            target = os.readlink(path) if path.is_symlink() else ""
            inside = root / target.lstrip("/")
            if target.startswith("/") and (inside.exists() or inside.is_symlink()):
                path.unlink()
                path.symlink_to(os.path.relpath(inside, path.parent))


def _failure(what: str, said: str) -> BuildFailed:
    """The reason of a failed command, out of the last lines of its output."""
    if "No space left on device" in said or "enough free space" in said or "Disk quota exceeded" in said:
        return BuildFailed(
            "No space left on the disk of the build for packages of the system.\n"
            "Ask the operator of this platform to free space, then push again."
        )
    lines = [line for line in said.splitlines() if line.startswith(("E:", "W:", "tar:", "dpkg-deb:"))]
    reason = "\n".join((lines or said.splitlines())[-3:])
    if hosts := re.findall(r"Failed to fetch \w+://([^/\s]+)", said):
        what += f" from the mirror {hosts[0]}"
        reason += "\nPush again later; if it stays so, tell the operator of this platform."
    return BuildFailed(f"{what}:\n{reason}")
