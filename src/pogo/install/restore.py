"""`pogo admin:restore`: database, keys and settings of a backup take the place of this installation's.

Everything is opened, migrated and checked before anything is touched. Then, each step one file or one transaction:
a keyring that opens old and new secrets; the database; the other files; the keyring without the old keys. Killed
anywhere, either database is readable, and the same command goes on.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from pogo.agent.installation import parse_setting
from pogo.backup import catalog, checking, contents, record, recovery, taking
from pogo.backup.checking import Checked
from pogo.backup.contents import DATABASE, Manifest
from pogo.backup.seal import RecoveryKey
from pogo.errors import Conflict, PogoError
from pogo.install import backups, certificates, configuration, first_app, places, stores, trust, up
from pogo.install import caller as callers
from pogo.install.progress import line, step
from pogo.settings import Settings
from pogo.store import BlobStore
from pogo.store.marks import own_mark

# Settings of the machine, not of the platform: those that bin/up was given here stay.
OF_THE_MACHINE = {
    f"POGO_{name}"
    for name in (
        "STATE_DIR", "CACHE_DIR", "USER", "BIND", "HTTP_PORT", "HTTPS_PORT", "RENDEZVOUS_PORT", "SSH_ADDRESS",
        "SUBNET", "UID_BASE", "DATABASE_URL", "STORE_URL", "STORE_ENDPOINT", "STORE_REGION", "STORE_CA",
        "STORE_CACHE_MB", "IMAGES",
    )
}  # fmt: skip
# Settings that name a file, which has to be brought here by hand.
OF_FILES = {"POGO_TLS_CERT", "POGO_TLS_KEY", "POGO_ACME_CA", "POGO_ACME_DNS_HOOK", "POGO_MIRROR_GIT"}


@dataclass(frozen=True)
class Staged:
    """A backup that was unpacked and checked, in a directory that only root can write."""

    name: str
    directory: Path
    manifest: Manifest
    key: RecoveryKey
    found: Checked


def restore(name: str, file: str, *, replace: bool, incomplete: bool) -> None:
    """name: of a backup in the store, "" for the newest. file: instead, a backup that was copied here.

    replace: although people have apps here. incomplete: although slugs are missing. Raises PogoError.
    """
    settings, config = backups.here()
    user = pwd.getpwnam(settings.user)
    store = stores.opened(settings, None)
    with step("Backup") as say:
        staged = _staged(settings, store, name, file, user)
        say(f"{staged.name}: {backups.told(staged.found, deep=False)}")
    _refuse(settings, config, staged, replace=replace, incomplete=incomplete)
    with step("Restoring"):
        _apply(settings, config, store, staged, user)
    _start()
    shutil.rmtree(staged.directory)
    record.begun_restore(settings).unlink()
    line(f"The platform is that of {staged.manifest.moment:%Y-%m-%d %H:%M} UTC: {', '.join(staged.found.apps)}.")


def _staged(settings: Settings, store: BlobStore, name: str, file: str, user: pwd.struct_passwd) -> Staged:
    directory = settings.state_dir / "restore"
    if directory.exists():
        shutil.rmtree(directory)
    with ExitStack() as stack:
        if file:
            source, name = stack.enter_context(_file(file)), Path(file).name
        else:
            backup = catalog.find(store, name)
            source, name = stack.enter_context(store.open(backup.key)), backup.name
        key = _recovery_key(settings)
        directory.mkdir(0o700)
        try:
            manifest = contents.unpack(source, key, directory)
            found = checking.check(directory, manifest, store, deep=False)
        except BaseException:
            shutil.rmtree(directory)
            raise
    # pogod's user puts the database into its place; the keys beside it are root's.
    os.chown(directory, 0, user.pw_gid)
    directory.chmod(0o750)
    os.chown(directory / DATABASE, 0, user.pw_gid)
    (directory / DATABASE).chmod(0o640)
    return Staged(name, directory, manifest, key, found)


def _file(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise PogoError(f"{path} cannot be read ({error.strerror}).") from error


def _recovery_key(settings: Settings) -> RecoveryKey:
    """Given by POGO_RECOVERY_KEY or typed; nothing: that of this machine, whose own backup it is then."""
    given = os.environ.get("POGO_RECOVERY_KEY", "")
    if not given and sys.stdin.isatty():
        given = getpass.getpass("Recovery key (nothing: that of this machine): ")
    return RecoveryKey.parse(given) if given.strip() else backups.own_key(settings)


def _refuse(settings: Settings, config: Path, staged: Staged, *, replace: bool, incomplete: bool) -> None:
    """Raises Conflict where something would be lost that nobody has said may be."""
    try:
        if staged.found.missing and not incomplete:
            key, wrong = min(staged.found.missing.items())
            raise Conflict(
                f"{len(staged.found.missing)} of {staged.found.slugs} slugs of current releases are not good in"
                f" {settings.store}, as {key}: {wrong}. Bring the objects there first, or add --incomplete: those apps"
                " will not start until they are pushed again. Nothing was changed."
            )
        if replace or record.unfinished_restore(settings) == staged.name:
            return
        if mine := set(backups.as_pogod(settings, config, "apps")) - {first_app.NAME}:
            raise Conflict(
                f"This platform has apps ({', '.join(sorted(mine)[:5])}): they would be replaced by those of the"
                " backup. Add --replace if that is what you want. Nothing was changed."
            )
    except BaseException:
        shutil.rmtree(staged.directory)
        raise


def _apply(settings: Settings, config: Path, store: BlobStore, staged: Staged, user: pwd.struct_passwd) -> None:
    keys = settings.state_dir / "keys"
    restored = (staged.directory / "keys" / "secrets.key").read_text().split()
    present = (keys / "secrets.key").read_text().split()
    supervisor = up.find(Path(sys.prefix)).supervisor
    supervisor.stop("pogod")
    try:
        places.write(record.begun_restore(settings), f"{staged.name}\n", mode=0o600)
        _write_secrets(settings, list(dict.fromkeys([*restored, *present])), user)
        backups.as_pogod(settings, config, "load", str(staged.directory / DATABASE))
    except BaseException:
        _write_secrets(settings, list(dict.fromkeys([*present, *restored])), user)
        supervisor.start("pogod")
        raise
    for name in taking.KEYS:
        if name != "secrets.key" and (staged.directory / "keys" / name).exists():
            text = (staged.directory / "keys" / name).read_text()
            places.write(keys / name, text, mode=0o600, owner=user.pw_uid, group=user.pw_gid)
    _restore_host_key(settings)
    _restore_root_files(settings, staged, user)
    places.write(recovery.key_file(settings), f"{staged.key.text}\n", mode=0o600)
    _restore_settings(config, staged, user)
    _take_over(settings, store, staged, user)
    _write_secrets(settings, restored, user)


def _write_secrets(settings: Settings, keys: list[str], user: pwd.struct_passwd) -> None:
    text = "".join(f"{key}\n" for key in keys)
    file = settings.state_dir / "keys" / "secrets.key"
    places.write(file, text, mode=0o600, owner=user.pw_uid, group=user.pw_gid)


def _restore_host_key(settings: Settings) -> None:
    public = load_ssh_private_key(settings.ssh_host_key.read_bytes(), None).public_key()
    text = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    places.write(settings.ssh_host_key.with_suffix(".pub"), f"{text}\n", mode=0o644)


def _restore_root_files(settings: Settings, staged: Staged, user: pwd.struct_passwd) -> None:
    file = staged.directory / "keys" / "root.sealed"
    if not file.exists():
        return
    tls = settings.state_dir / "tls"
    for name, text in recovery.unpack_root_files(file.read_bytes(), staged.key).items():
        (tls / name).parent.mkdir(mode=0o755, exist_ok=True)
        mode, group = {"ca.key": (0o600, 0), "server.key": (0o640, user.pw_gid)}.get(name, (0o644, 0))
        if name == "mirror/ca.key":
            mode, group = 0o600, 0
        places.write(tls / name, text, mode=mode, group=group)


def _restore_settings(config: Path, staged: Staged, user: pwd.struct_passwd) -> None:
    old = (staged.directory / "pogo.conf").read_text() if (staged.directory / "pogo.conf").exists() else ""
    given: dict[str, str] = {}
    for row in old.splitlines():
        given.update(parse_setting(row))
    text = configuration.recorded(config.read_text(), kept_settings(given, Path.exists))
    places.write(config, text, mode=0o640, group=user.pw_gid)
    environment = staged.directory / "build.env"
    if environment.exists():
        places.write(config.parent / "build.env", environment.read_text(), mode=0o644)


def kept_settings(given: Mapping[str, str], is_there: Callable[[Path], bool]) -> dict[str, str]:
    """Those of the backup's that hold on another machine: neither its places, nor files that are not here."""
    found = {name: value for name, value in given.items() if name not in OF_THE_MACHINE}
    return {name: value for name, value in found.items() if name not in OF_FILES or is_there(Path(value))}


def _take_over(settings: Settings, store: BlobStore, staged: Staged, user: pwd.struct_passwd) -> None:
    """The objects are ours from now on: the installation that they were of finds its mark gone, and deletes nothing."""
    own, old = own_mark(settings.store_id), staged.manifest.installation
    if old and old != own:
        store.put(own, [b"The objects here belong to an installation of Pogoapp.\n"])
        store.delete(old)
        stores.give(store, user)


def _start() -> None:
    """With the settings as they are now."""
    here = up.find(Path(sys.prefix))
    settings = here.settings
    user = pwd.getpwnam(settings.user)
    certificates.ensure(settings, user.pw_gid)
    backups.ensure_recovery(settings, user)
    trust.ensure(settings)
    with step("Platform") as say:
        found = up.platform(here, say)
    if found["token"]:
        callers.log_in(here.caller, here.program, settings, found["token"], switch=here.default)
