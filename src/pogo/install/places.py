"""The user, the directories and the keys of an installation."""

from __future__ import annotations

import os
import pwd
import secrets
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from pogo.install import processes
from pogo.process import run
from pogo.settings import Settings

# What pogod writes. The rest of the state belongs to root, so a captured pogod cannot change what root runs.
OF_THE_DAEMON = ("db", "store", "copies", "git", "logs", "transcripts", "traffic", "tmp", "mirror", "backups")


def write(file: Path, text: str, *, mode: int, group: int = 0, owner: int = 0) -> bool:
    """Replace a file as a whole, or leave it if it is right already. True if it was replaced."""
    return write_bytes(file, text.encode(), mode=mode, group=group, owner=owner)


def write_bytes(file: Path, data: bytes, *, mode: int, group: int = 0, owner: int = 0) -> bool:
    try:
        status = file.stat()
        same = (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, owner, group)
        if same and file.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    with tempfile.NamedTemporaryFile("wb", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        os.fchmod(new.fileno(), mode)
        os.fchown(new.fileno(), owner, group)
        new.write(data)
        new.flush()
        os.fsync(new.fileno())
    Path(new.name).rename(file)
    return True


def ensure_user(name: str, state: Path) -> pwd.struct_passwd:
    """The system user that pogod runs as."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        account = ("--system", "--user-group", "--no-create-home", "--home-dir", state, "--shell", "/usr/sbin/nologin")
        run("/usr/sbin/useradd", *account, "--comment", "Pogoapp", name)
        return pwd.getpwnam(name)


def remove_user(name: str, state: Path) -> None:
    """Remove the account, if it was made for this installation and nothing runs as it."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return
    if account.pw_dir == str(state) and not any(processes.owner(pid) == account.pw_uid for pid in processes.pids()):
        run("/usr/sbin/userdel", name)


def ensure_directories(settings: Settings, user: pwd.struct_passwd) -> None:
    """Owners and modes of everything below the state directory."""
    state = settings.state_dir
    # Sticky: root's and pogod's files lie side by side, and neither can remove the other's.
    _directory(state, 0o1775, group=user.pw_gid)
    for name in ("bin", "envs", "log", "stacks", "tls"):
        _directory(state / name, 0o755)
    _directory(state / "keys", 0o750, group=user.pw_gid)
    _directory(settings.run_dir, 0o1775, group=user.pw_gid)
    for name in OF_THE_DAEMON:
        _own(state / name, user)
        _directory(state / name, 0o750, owner=user.pw_uid, group=user.pw_gid)
    if settings.mirror != "off":
        _directory(settings.artefacts_dir, 0o755, owner=user.pw_uid, group=user.pw_gid)


def _own(directory: Path, user: pwd.struct_passwd) -> None:
    """Give everything to the user, where it is of another: his number changes when the account is made anew."""
    if directory.exists() and directory.stat().st_uid != user.pw_uid:
        for path in (*directory.rglob("*"), directory):  # the directory last: it tells that all is done
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _directory(path: Path, mode: int, *, owner: int = 0, group: int = 0) -> None:
    """The directory that was opened is changed: where pogod makes files too, it could put a link in its place."""
    path.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(fd)
        if (status.st_uid, status.st_gid) != (owner, group):
            os.fchown(fd, owner, group)
        if status.st_mode & 0o7777 != mode:
            os.fchmod(fd, mode)
    finally:
        os.close(fd)


def ensure_keys(settings: Settings, user: pwd.struct_passwd) -> None:
    """Keys are made once and never replaced: what they protect would be lost."""
    keys = settings.state_dir / "keys"
    made = {"secrets.key": Fernet.generate_key().decode()}
    made |= {name: secrets.token_hex(32) for name in ("url.key", "mirror.key")}
    for name, text in made.items():
        kept = (keys / name).read_text() if (keys / name).exists() else f"{text}\n"
        write(keys / name, kept, mode=0o600, owner=user.pw_uid, group=user.pw_gid)
    host = settings.ssh_host_key
    if not host.exists():
        private = Ed25519PrivateKey.generate()
        text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        write(host, text, mode=0o600, owner=user.pw_uid, group=user.pw_gid)
    public = load_ssh_private_key(host.read_bytes(), None).public_key()
    shown = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    write(host.with_suffix(".pub"), f"{shown}\n", mode=0o644)
